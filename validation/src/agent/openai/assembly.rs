//! An answer put together from its parts.

use std::time::Duration;

use super::completion::{Choice, Completion, Piece, PieceOfCall};
use crate::{
    Pace, Reply, ToolCall,
    agent::http::{Event, Fault, Problem},
};

/// Most calls of tools in one answer: an index from outside must not decide how much is kept.
const MOST_CALLS: usize = 256;

/// An answer put together from its parts.
#[derive(Debug)]
pub(super) struct Assembly {
    reply: Reply,
    /// The calls of tools, each under the index that its server gives it.
    calls: Vec<(u64, ToolCall)>,
    /// How many alternatives of a token were asked for.
    top: usize,
    /// When the last part came.
    last: Option<Duration>,
    gaps: Vec<Duration>,
    done: bool,
}

impl Assembly {
    pub(super) fn new(top: Option<u8>) -> Self {
        let top = usize::from(top.unwrap_or(0));
        Self { reply: Reply::default(), calls: Vec::new(), top, last: None, gaps: Vec::new(), done: false }
    }

    /// The reply in a whole response.
    pub(super) fn whole(body: &[u8], top: Option<u8>) -> Result<Reply, Fault> {
        let malformed = |why: String| {
            // Some gateways report errors with status 200.
            let said = Problem::read(body).message;
            Fault::Malformed(match said.is_empty() {
                true => format!("it is no completion ({why})"),
                false => format!("it is no completion but says: {said}"),
            })
        };
        let mut completion: Completion =
            serde_json::from_slice(body).map_err(|error| malformed(error.to_string()))?;
        let choices = completion.choices.take().ok_or_else(|| malformed("it has no `choices`".to_owned()))?;
        let mut choice =
            choices.into_iter().next().ok_or_else(|| Fault::Malformed("it has no choices".to_owned()))?;
        let mut assembly = Self::new(top);
        let piece = choice.take_piece().ok_or_else(|| malformed("its choice has no message".to_owned()))?;
        assembly.take_piece(piece, true)?;
        assembly.take_rest(choice);
        assembly.reply.usage = completion.usage();
        Ok(assembly.into_reply())
    }

    /// Takes the next event of a stream, which came at `at` after the request was sent. Returns whether
    /// more may come.
    pub(super) fn take(&mut self, event: &Event, at: Duration) -> Result<bool, Fault> {
        let data = event.data.trim();
        if data == "[DONE]" {
            self.done = true;
            return Ok(false);
        }
        if event.kind == "error" {
            return Err(self.failure(&Problem::read(data.as_bytes())));
        }
        let completion: Completion = serde_json::from_str(data).map_err(|error| {
            Fault::Malformed(format!("an event of its stream is no completion ({error})"))
        })?;
        if let Some(error) = &completion.error {
            return Err(self.failure(&Problem::of(error)));
        }
        // Counts come once, or grow from part to part.
        self.reply.usage = completion.usage().or(self.reply.usage);
        for mut choice in completion.choices.into_iter().flatten().filter(|choice| choice.index == 0) {
            if let Some(piece) = choice.take_piece()
                && self.take_piece(piece, false)?
            {
                let before = self.last.replace(at);
                self.gaps.extend(before.map(|before| at.saturating_sub(before)));
                self.reply.pace.get_or_insert_with(|| Pace { first: at, gaps: Vec::new() });
            }
            self.take_rest(choice);
        }
        Ok(true)
    }

    /// Whether the answer is whole, even if its stream should break now.
    pub(super) const fn is_finished(&self) -> bool {
        self.done || self.reply.finish_reason.is_some()
    }

    /// The reply, once its stream has ended.
    pub(super) fn end(self) -> Result<Reply, Fault> {
        if self.is_finished() {
            return Ok(self.into_reply());
        }
        Err(match self.last {
            None => Fault::Later("its stream ended before the answer began".to_owned()),
            Some(_) => Fault::Interrupted("its stream ended before the answer did".to_owned()),
        })
    }

    /// Returns whether the piece adds anything.
    fn take_piece(&mut self, mut piece: Piece, whole: bool) -> Result<bool, Fault> {
        let (text, thought) = (piece.take_text(), piece.take_reasoning());
        let refusal = piece.refusal.take().unwrap_or_default();
        let calls = piece.tool_calls.take().unwrap_or_default();
        let adds = ![&text, &thought, &refusal].iter().all(|text| text.is_empty()) || !calls.is_empty();
        self.reply.text.push_str(&text);
        for (said, more) in [(&mut self.reply.reasoning, thought), (&mut self.reply.refusal, refusal)] {
            if !more.is_empty() {
                said.get_or_insert_default().push_str(&more);
            }
        }
        for (position, mut call) in calls.into_iter().enumerate() {
            if whole {
                call.index = Some(position as u64);
            }
            self.take_call(call)?;
        }
        Ok(adds)
    }

    fn take_call(&mut self, mut piece: PieceOfCall) -> Result<(), Fault> {
        let id = piece.id.take().unwrap_or_default();
        let at = match piece.index {
            Some(index) => self.calls.iter().position(|(known, _)| *known == index),
            // Some servers count nothing and begin each call with its id.
            None => {
                self.calls.len().checked_sub(1).filter(|&last| id.is_empty() || self.calls[last].1.id == id)
            }
        };
        let at = match at {
            Some(at) => at,
            None if self.calls.len() == MOST_CALLS => {
                return Err(Fault::Malformed(format!("it calls more than {MOST_CALLS} tools")));
            }
            None => {
                let index = piece.index.unwrap_or(self.calls.len() as u64);
                self.calls.push((index, ToolCall::default()));
                self.calls.len() - 1
            }
        };
        let call = &mut self.calls[at].1;
        // Id and name come whole; some servers repeat them.
        if call.id.is_empty() {
            call.id = id;
        }
        let name = piece.take_name();
        if call.name.is_empty() {
            call.name = name;
        }
        call.arguments.push_str(&piece.take_arguments());
        Ok(())
    }

    fn take_rest(&mut self, mut choice: Choice) {
        self.reply.logprobs.extend(choice.logprobs(self.top));
        if let Some(reason) = choice.finish_reason {
            self.reply.finish_reason = Some(reason);
        }
    }

    fn failure(&self, problem: &Problem) -> Fault {
        let said = match problem.message.is_empty() {
            true => "an error without a word",
            false => &problem.message,
        };
        let busy = problem.status.is_some_and(|status| matches!(status, 408 | 425 | 429 | 500..600));
        match self.last {
            Some(_) => Fault::Interrupted(format!("in the middle of it the server said: {said}")),
            None if busy => Fault::Later(format!("the server said: {said}")),
            None => Fault::Malformed(format!("it is no completion but says: {said}")),
        }
    }

    fn into_reply(mut self) -> Reply {
        if let Some(pace) = &mut self.reply.pace {
            pace.gaps = self.gaps;
        }
        self.calls.sort_by_key(|(index, _)| *index);
        self.reply.tool_calls = self.calls.into_iter().map(|(_, call)| call).collect();
        self.reply
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn event(data: &str) -> Event {
        Event { kind: String::new(), data: data.to_owned() }
    }

    #[test]
    fn parts_are_timed_and_frames_are_not() {
        let mut assembly = Assembly::new(None);
        for (at, delta) in [
            (10, r#"{"role":"assistant","content":""}"#),
            (20, r#"{"reasoning_content":"hm"}"#),
            (35, r#"{"content":null}"#),
            (40, r#"{"content":"a"}"#),
            (70, r#"{"tool_calls":[{"index":0,"function":{"arguments":""}}]}"#),
            (80, "{}"),
        ] {
            let data = format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#);
            assert!(assembly.take(&event(&data), ms(at)).unwrap());
        }
        assert!(!assembly.take(&event("[DONE]"), ms(90)).unwrap());
        let pace = assembly.end().unwrap().pace.unwrap();
        assert_eq!((pace.first, pace.gaps), (ms(20), vec![ms(20), ms(30)]));
    }

    /// Events of which the parts are sound and the whole may be nonsense.
    fn events() -> impl Strategy<Value = Vec<String>> {
        let values = [
            "null",
            "7",
            "-1",
            "1e400",
            "\"a\"",
            "{}",
            "[]",
            "[null]",
            "true",
            "18446744073709551615",
            r#"[{"index":0,"delta":{"content":"x"}}]"#,
            r#"[{"delta":{"tool_calls":[{"id":"a"},{"index":9}]}}]"#,
            r#"[{"message":{"content":[{"text":"x"},{}]},"finish_reason":"stop"}]"#,
            r#"[{"text":"x","logprobs":{"tokens":["a"],"token_logprobs":[null]}}]"#,
            r#"{"prompt_tokens":1,"completion_tokens":1,"completion_tokens_details":{"reasoning_tokens":9}}"#,
            r#"{"message":"no","code":503}"#,
        ];
        let member = (select(vec!["choices", "usage", "error", "object"]), select(values.to_vec()));
        let event = vec(member.prop_map(|(name, value)| format!("\"{name}\":{value}")), 0..4)
            .prop_map(|members| format!("{{{}}}", members.join(",")));
        vec(prop_oneof![5 => event, 1 => Just("[DONE]".to_owned()), 1 => any::<String>()], 0..12)
    }

    proptest! {
        #[test]
        fn no_stream_is_too_strange(events in events(), top in any::<Option<u8>>()) {
            let mut assembly = Assembly::new(top);
            let mut taken = 0;
            for (i, data) in events.iter().enumerate() {
                match assembly.take(&event(data), ms(i as u64)) {
                    Ok(true) => taken += data.len(),
                    Ok(false) | Err(_) => break,
                }
            }
            if let Ok(reply) = assembly.end() {
                prop_assert!(reply.text.len() <= taken);
                prop_assert!(reply.usage.is_none_or(|usage| usage.answered() <= 1));
            }
        }

        #[test]
        fn no_body_is_too_strange(events in events()) {
            for body in events {
                let _ = Assembly::whole(body.as_bytes(), Some(1));
            }
        }
    }
}
