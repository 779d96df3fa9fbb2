//! `--dry-run`: what each stage would do, what it takes, and what is lacking. Nothing is done.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::json;

use crate::{
    answer::{Answer, Status},
    evidence::{self, Undemanded},
    ground::Ground,
    progress::Progress,
    schedule, signed,
    words::plain,
};

pub(crate) async fn preview(ground: &Ground, progress: &Progress, from: Option<usize>) -> Result<Answer> {
    let release = &ground.release;
    let again = from.map_or_else(BTreeSet::new, |from| schedule::after(&release.needs, from));
    let (mut lines, mut documents, mut lacking) = (Vec::new(), Vec::new(), 0);
    for (index, stage) in release.stages.iter().enumerate() {
        let preview = stage.work.preview(ground).await?;
        let is_done = progress.state(&stage.name).has_passed() && !again.contains(&index);
        let needs: Vec<_> =
            release.needs[index].iter().map(|&need| release.stages[need].name.as_str()).collect();
        let after = if needs.is_empty() { String::new() } else { format!(", after {}", needs.join(", ")) };
        let standing = if is_done { ", which has passed and is not done again" } else { "" };
        lines.push(format!("{} ({}{after}){standing}", stage.name, stage.work.kind()));
        lines.push(format!("  does: {}", plain(&preview.does)));
        lines.extend(preview.takes.iter().map(|takes| format!("  takes: {}", plain(takes))));
        lines.extend(preview.lacks.iter().map(|lacks| format!("  LACKS: {}", plain(lacks))));
        // What is done lacks nothing.
        lacking += if is_done { 0 } else { preview.lacks.len() };
        documents.push(json!({
            "name": stage.name, "kind": stage.work.kind(), "needs": needs, "passed": is_done,
            "does": preview.does, "takes": preview.takes, "lacks": preview.lacks,
        }));
    }
    let undemanded = evidence::undemanded(ground, &signed::readable(release)).await?;
    if !undemanded.is_empty() {
        lacking += 1;
        lines.push(format!("LACKS: {}", undemanded_text(ground, &undemanded)));
    }
    lines.push(match lacking {
        0 => format!("nothing is lacking for the release of {}; nothing was done", release.model),
        1 => "1 thing is lacking; nothing was done".to_owned(),
        more => format!("{more} things are lacking; nothing was done"),
    });
    let json = json!({
        "model": release.model, "channel": release.channel, "lacking": lacking, "stages": documents,
        "undemanded": undemanded.stages, "undemandedSignatures": undemanded.signatures,
    });
    let status = if lacking == 0 { Status::Done } else { Status::Refused };
    Ok(Answer { text: lines.join("\n"), json, status })
}

/// That the channel would take a version around these stages or without these signatures, and what to do about it.
pub(crate) fn undemanded_text(ground: &Ground, undemanded: &Undemanded) -> String {
    let (name, channel) = (ground.release.model.name(), &ground.release.channel);
    let Undemanded { stages, signatures } = undemanded;
    let stages = (!stages.is_empty()).then(|| format!("what {} came to", stages.join(", ")));
    let signatures = signatures.iter().map(|by| format!("a signature by {by}"));
    let what: Vec<_> = stages.into_iter().chain(signatures).collect();
    format!(
        "the policy of {name}:{channel} does not demand {}; print one with --policy, and `tidegate policy set {name} --channel {channel}` it",
        what.join(", nor ")
    )
}
