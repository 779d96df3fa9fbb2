//! Every store does what the traits promise.

use tidegate_registry::testkit::{log_conformance, model_store_conformance};

use crate::servers::{
    live,
    s3::{S3, Writes},
};

/// A factory of registries on a server that lives as long as the factory.
macro_rules! s3 {
    () => {{
        let server = S3::start(Writes::InTurn);
        async move || server.registry().await
    }};
}

model_store_conformance!(on_s3, s3!());
log_conformance!(on_s3_log, s3!());

model_store_conformance!(
    #[ignore = "needs SeaweedFS (`weed` on the PATH or in SEAWEEDFS_BIN)"]
    on_seaweedfs,
    async || live::seaweedfs().await.registry().await
);
log_conformance!(
    #[ignore = "needs SeaweedFS (`weed` on the PATH or in SEAWEEDFS_BIN)"]
    on_seaweedfs_log,
    async || live::seaweedfs().await.registry().await
);
model_store_conformance!(
    #[ignore = "needs MiniStack (`ministack` on the PATH or in MINISTACK_BIN)"]
    on_ministack,
    async || live::ministack().await.registry().await
);
log_conformance!(
    #[ignore = "needs MiniStack (`ministack` on the PATH or in MINISTACK_BIN)"]
    on_ministack_log,
    async || live::ministack().await.registry().await
);
model_store_conformance!(
    #[ignore = "needs Azurite (`azurite-blob` on the PATH or in AZURITE_BIN)"]
    on_azurite,
    async || live::azurite().await.registry().await
);
log_conformance!(
    #[ignore = "needs Azurite (`azurite-blob` on the PATH or in AZURITE_BIN)"]
    on_azurite_log,
    async || live::azurite().await.registry().await
);
