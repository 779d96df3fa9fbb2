//! Bodies of responses, read within bounds.

use reqwest::Response;

/// As much of a body as may be kept, and whether that is all of it.
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) whole: bool,
}

impl Body {
    pub(crate) async fn read(mut response: Response, longest: usize) -> Result<Self, reqwest::Error> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            let room = longest - bytes.len();
            if chunk.len() > room {
                bytes.extend_from_slice(&chunk[..room]);
                return Ok(Self { bytes, whole: false });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Self { bytes, whole: true })
    }
}
