//! A question to the runtime API of an HAProxy, and its answer.

use std::{fmt, time::Duration};

use tidegate_registry::Invalid;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

use super::failure::{Failure, Refusal, Trouble};

/// How long one question may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The longest answer that is read. A list of 10 000 maps has about 2 MB.
const LONGEST_ANSWER: usize = 4 << 20;
/// HAProxy opens its sockets under a longer name first, so it takes no longer path.
const LONGEST_PATH: usize = 97;

/// Where a runtime API listens.
#[derive(Clone, Debug)]
pub(super) enum Socket {
    /// The path of a Unix socket.
    #[cfg(unix)]
    Path(String),
    /// A host and its port.
    Host(String),
}

impl Socket {
    pub(super) fn new(address: &str) -> Result<Self, Invalid> {
        let invalid = |remedy| Err(Invalid::new("socket", address, remedy));
        #[cfg(unix)]
        if address.starts_with('/') {
            if address.chars().any(char::is_control) {
                return invalid("use a path without control characters");
            }
            if address.len() > LONGEST_PATH {
                return invalid("HAProxy takes paths of 97 bytes at most; use a shorter one");
            }
            return Ok(Self::Path(address.to_owned()));
        }
        match address.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                Ok(Self::Host(address.to_owned()))
            }
            _ => invalid("use the path of a Unix socket, from `/` on, or `host:port`"),
        }
    }

    /// The answer to `commands`, one line of commands that end with `;` each but the last.
    pub(super) async fn ask(&self, commands: &str) -> Result<String, Failure> {
        let answer = async {
            match self {
                #[cfg(unix)]
                Self::Path(path) => {
                    exchange(tokio::net::UnixStream::connect(path).await.map_err(Failure::opening)?, commands)
                        .await
                }
                Self::Host(host) => {
                    exchange(TcpStream::connect(host).await.map_err(Failure::opening)?, commands).await
                }
            }
        };
        tokio::time::timeout(ANSWER_WITHIN, answer).await.map_err(Failure::later)?
    }

    /// Gives `commands` that are silent when they succeed.
    pub(super) async fn tell(&self, commands: &str) -> Result<(), Failure> {
        let answer = self.ask(commands).await?;
        let expected = commands.split(';').count();
        match answer.trim_matches('\n') {
            "" if answer.len() >= expected => Ok(()),
            "" => Err(Failure::later(Trouble::BrokeOff)),
            text => Err(Failure::said(text)),
        }
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(unix)]
            Self::Path(path) => f.write_str(path),
            Self::Host(host) => f.write_str(host),
        }
    }
}

/// Without a prompt, HAProxy takes one line, answers and closes.
async fn exchange<S>(mut stream: S, commands: &str) -> Result<String, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    // Whoever could put a line break into a command could give commands of their own.
    debug_assert!(!commands.contains('\n'));
    let unreachable = |error| Failure::later(Trouble::Unreachable(error));
    stream.write_all(format!("{commands}\n").as_bytes()).await.map_err(unreachable)?;
    let mut answer = Vec::new();
    let limit = LONGEST_ANSWER as u64 + 1;
    stream.take(limit).read_to_end(&mut answer).await.map_err(unreachable)?;
    if answer.len() > LONGEST_ANSWER {
        return Err(Failure::never(Refusal::TooLong(LONGEST_ANSWER)));
    }
    let answer = String::from_utf8(answer)
        .map_err(|error| Failure::unreadable(&String::from_utf8_lossy(error.as_bytes())))?;
    if answer.ends_with('\n') { Ok(answer) } else { Err(Failure::later(Trouble::BrokeOff)) }
}
