//! What is begun is not given up because a store is away.

use std::time::Duration;

use anyhow::Result;
use tidegate::{canary::WallClock, rollback::Error};

use crate::{failure, words::ago};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Opens and runs, and again after a pause while the store is away; a pause is twice as long as the one before.
pub(super) async fn persist<T>(
    clock: WallClock,
    mut go: impl AsyncFnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    let mut pause = FIRST;
    loop {
        let began = clock.now();
        let error = match go().await {
            Err(error) if error.is_transient() => error,
            end => return end,
        };
        // What has gone well for a while begins with short pauses again.
        if clock.now().duration_since(began).is_ok_and(|went| went > LONGEST) {
            pause = FIRST;
        }
        failure::warn(&error.into(), &format!("it is where its journal says, and goes on in {}", ago(pause)));
        clock.sleep_until(clock.now() + pause).await;
        pause = (pause * 2).min(LONGEST);
    }
}
