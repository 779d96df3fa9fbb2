//! `tidegate pull-oci ADDRESS NAME TAG --as REF` or `--into DIR`

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use anyhow::Result;
use clap::Args;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use tidegate::registry::{
    ByteStream, Content, Draft, Error, FilePath, ModelName, ModelRef, ModelStore as _, OciArtifact,
    Progress as _, Transfer, Transfers,
};
use tokio::{fs, io::AsyncWriteExt as _};

use crate::{
    Session,
    answer::Answer,
    failure::Failure,
    oci::Oci,
    transfer::Bar,
    words::{bytes, count},
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PullOci {
    #[command(flatten)]
    oci: Oci,
    /// The model, which is the end of the repository's name
    #[arg(value_name = "NAME")]
    name: ModelName,
    /// Which artifact: a tag, or the digest sha256:... of it, which nobody can move
    #[arg(value_name = "TAG|DIGEST")]
    tag: String,
    #[command(flatten)]
    to: Destination,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Destination {
    /// Publish it as this version in the registry of --registry
    #[arg(long = "as", value_name = "REF")]
    model: Option<ModelRef>,
    /// Write its files to this directory, which must not be there yet
    #[arg(long = "into", value_name = "DIR")]
    directory: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  tidegate pull-oci https://registry.example.com/team/models llama v3 --as llama@3.0.0
  tidegate pull-oci https://ghcr.io/acme llama sha256:4f1c... --into model/ --username ci --password-env TOKEN

Reads CNCF ModelPack artifacts whose layers are files as they are, made by whatever tool. Every file is
compared with its digest before a version or the directory comes into being. What its maker says about an
artifact becomes the card of the version.";

impl PullOci {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let parts = self.oci.pace.concurrency;
        let oci = self.oci.open()?;
        let artifact = oci.artifact(&self.name, &self.tag).await?;
        let (files, size) = (artifact.files().len(), artifact.files().map(|(_, size, _)| size).sum());
        let (text, mut json) = match (self.to.model, self.to.directory) {
            (Some(model), _) => {
                let draft = Draft::new(model, session.stamp()).with_card(artifact.card().clone());
                draft.check().map_err(Error::from)?;
                // The bandwidth is that of the artifact's bytes.
                let transfers = Transfers::new().concurrency(parts);
                let registry = session.location()?.open_or_begin().await?.moving(transfers);
                let bar = Bar::new("importing");
                let created = draft.stamp.clone();
                let manifest = registry.store.publish(draft, artifact.content(), &bar).await?;
                drop(bar);
                let published = manifest.created == created;
                let done = if published { "published" } else { "unchanged" };
                let text = format!("{done} {}", manifest.model);
                (text, json!({ "published": published, "manifest": manifest }))
            }
            (None, directory) => {
                let directory = directory.expect("clap demands one of the two");
                extract(&artifact, &directory, parts).await?;
                let into = directory.display().to_string();
                (format!("pulled {}:{} into {into}", self.name, self.tag), json!({ "directory": into }))
            }
        };
        let digest = artifact.digest();
        json["artifact"] = json!(digest);
        let text = format!("{text}: {}, {}\nartifact {digest}", count(files, "file"), bytes(size));
        Ok(Answer::done(text, json))
    }
}

/// Writes the files beside `directory` and gives them its name when all of them are there and durable.
async fn extract(artifact: &OciArtifact, directory: &Path, parts: NonZeroUsize) -> Result<()> {
    if directory.symlink_metadata().is_ok() {
        let why = "is there already; name a new directory";
        return Err(Failure::Misused(format!("{} {why}", directory.display())).into());
    }
    let absolute = std::path::absolute(directory).map_err(local("find", directory))?;
    let parent = absolute.parent().unwrap_or(&absolute);
    fs::create_dir_all(parent).await.map_err(local("create", parent))?;
    // Removed when it is dropped, which is what an interruption does.
    let staging = tempfile::Builder::new().prefix(".tidegate-").tempdir_in(parent);
    let staging = staging.map_err(local("write to", parent))?;
    let files = staging.path().join("files");
    fs::create_dir(&files).await.map_err(local("create", &files))?;

    let bar = Bar::new("pulling");
    let bytes = artifact.files().map(|(_, size, _)| size).sum();
    bar.tell(Transfer::Start { files: artifact.files().len(), bytes: Some(bytes) });
    let Content::Streams(streams) = artifact.content() else {
        unreachable!("an artifact is read by streams")
    };
    let write = async |(name, mut stream): (FilePath, ByteStream)| -> Result<()> {
        let path = files.join(name.as_str());
        let above = path.parent().expect("it lies below the directory");
        fs::create_dir_all(above).await.map_err(local("create", above))?;
        let mut file = fs::File::create_new(&path).await.map_err(local("create", &path))?;
        while let Some(bytes) = stream.next().await {
            let bytes = bytes?;
            file.write_all(&bytes).await.map_err(local("write", &path))?;
            bar.tell(Transfer::Bytes(bytes.len() as u64));
        }
        file.flush().await.map_err(local("write", &path))?;
        file.sync_all().await.map_err(local("write", &path))?;
        bar.tell(Transfer::File(&name));
        Ok(())
    };
    stream::iter(streams.into_iter().map(write)).buffer_unordered(parts.get()).try_collect::<()>().await?;
    Ok(fs::rename(&files, directory).await.map_err(local("rename", directory))?)
}

fn local(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Local { action, path, source }
}
