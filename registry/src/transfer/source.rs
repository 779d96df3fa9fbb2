//! The bytes that a publisher offers: a directory walked, or streams, read in blocks.

use std::{
    collections::BTreeSet,
    fs, io,
    io::Read as _,
    path::{Path, PathBuf},
};

#[cfg(any(feature = "object-store", feature = "oci"))]
use bytes::BytesMut;
use bytes::{Buf as _, Bytes};
use futures::StreamExt as _;

use super::{
    block::Block,
    blocking::{blocking, local},
    staging::STAGING,
};
use crate::{ByteStream, Content, Error, FilePath, Invalid, Result};

/// Directories nested deeper than this are refused: no model is laid out so, a loop of mounts is.
const DEEPEST: usize = 64;

/// Files in one version. Their manifest is read as a whole, so it has to stay within memory.
const MOST_FILES: usize = 100_000;

/// One file that is offered.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: FilePath,
    /// Bytes, where they are known before reading. Only a hint: the file may change until it is read.
    pub(crate) size: Option<u64>,
    origin: Origin,
}

enum Origin {
    File(PathBuf),
    Stream(ByteStream),
}

/// Reads a [`Source`] once, in blocks.
///
/// Whatever has to see the bytes of a file as they are published belongs into [`block`](Self::block): each
/// block passes there, once and in order.
#[derive(Debug)]
pub(crate) struct Reader(Input);

enum Input {
    File { file: Option<fs::File>, path: PathBuf },
    Stream { stream: ByteStream, left: Bytes },
}

impl Content {
    /// The files in this content, ascending by path; at least one.
    pub(crate) async fn sources(self) -> Result<Vec<Source>> {
        let mut sources = match self {
            Self::Directory(directory) => blocking(move || walk(&directory)).await?,
            Self::Streams(files) => {
                let source = |(path, stream)| Source { path, size: None, origin: Origin::Stream(stream) };
                files.into_iter().map(source).collect()
            }
        };
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        check_files(&mut sources.iter().map(|source| &source.path).collect::<Vec<_>>())?;
        Ok(sources)
    }
}

impl Source {
    pub(crate) async fn open(self) -> Result<Reader> {
        match self.origin {
            Origin::File(path) => blocking(move || Reader::file(path)).await,
            Origin::Stream(stream) => Ok(Reader::of(stream)),
        }
    }

    /// A file that is offered.
    #[cfg(feature = "object-store")]
    pub(crate) const fn of_file(path: FilePath, size: Option<u64>, from: PathBuf) -> Self {
        Self { path, size, origin: Origin::File(from) }
    }

    /// Where it lies, if it is a file, which can be read more than once.
    #[cfg(feature = "object-store")]
    pub(crate) fn file(&self) -> Option<&Path> {
        match &self.origin {
            Origin::File(path) => Some(path),
            Origin::Stream(_) => None,
        }
    }
}

impl Reader {
    /// Opens a file.
    pub(crate) fn file(path: PathBuf) -> Result<Self> {
        match fs::File::open(&path) {
            Ok(file) => Ok(Self(Input::File { file: Some(file), path })),
            Err(error) => Err(local("open", &path)(error)),
        }
    }

    /// Reads a stream that is at hand.
    pub(crate) fn of(stream: ByteStream) -> Self {
        // Whoever reads to the end asks once more.
        Self(Input::Stream { stream: stream.fuse().boxed(), left: Bytes::new() })
    }

    /// The next bytes, in `block`; fewer than it holds, and in the end none, only at the end.
    pub(crate) async fn block(&mut self, mut block: Block) -> Result<Bytes> {
        match &mut self.0 {
            Input::File { file, path } => {
                let mut opened = file.take().expect("a reader that failed is not read again");
                let (opened, read) = blocking(move || {
                    let read = fill(&mut opened, &mut block).map(|()| block);
                    (opened, read)
                })
                .await;
                *file = Some(opened);
                Ok(read.map_err(local("read", path))?.freeze())
            }
            Input::Stream { stream, left } => {
                loop {
                    let taken = block.copy(left);
                    left.advance(taken);
                    if !left.is_empty() {
                        break;
                    }
                    let Some(chunk) = stream.next().await.transpose()? else { break };
                    *left = chunk;
                }
                Ok(block.freeze())
            }
        }
    }

    /// The same on this thread, if these bytes come from a file.
    #[cfg(feature = "fs")]
    pub(crate) fn block_now(&mut self, block: &mut Block) -> Option<Result<()>> {
        match &mut self.0 {
            Input::File { file, path } => {
                let opened = file.as_mut().expect("a reader that failed is not read again");
                Some(fill(opened, block).map_err(local("read", path)))
            }
            Input::Stream { .. } => None,
        }
    }
}

/// Reads until the block is full or the file ends.
pub(crate) fn fill(file: &mut fs::File, block: &mut Block) -> io::Result<()> {
    while !block.room().is_empty() {
        match file.read(block.room()) {
            Ok(0) => break,
            Ok(n) => block.fill(n),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// All bytes of a stream, if it has just `size` of them. Never holds more than one more.
#[cfg(any(feature = "object-store", feature = "oci"))]
pub(crate) async fn whole(mut stream: ByteStream, size: usize) -> Result<Option<Bytes>> {
    let mut bytes = BytesMut::with_capacity(size);
    while let Some(chunk) = stream.next().await.transpose()? {
        if chunk.len() > size - bytes.len() {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((bytes.len() == size).then(|| bytes.freeze()))
}

/// Paths that can be those of a version, in any order.
pub(crate) fn check_files(paths: &mut [&FilePath]) -> Result<(), Invalid> {
    if paths.is_empty() {
        return Err(Invalid::new("content", "", "it has no files; offer at least one"));
    }
    check_count(paths.len())?;
    paths.sort();
    check_paths(paths.iter().copied())
}

/// Paths, ascending, that can all exist in one directory: none twice, none below another, and none where
/// downloads are staged.
pub(crate) fn check_paths<'a>(paths: impl Iterator<Item = &'a FilePath>) -> Result<(), Invalid> {
    let mut seen = BTreeSet::new();
    for path in paths {
        let path = path.as_str();
        if !seen.insert(path) {
            return Err(Invalid::new("file path", path, "it occurs twice; give each file its own path"));
        }
        let mut above = path.match_indices('/').map(|(at, _)| path.split_at(at).0);
        if path.split('/').any(|segment| segment.starts_with(STAGING)) {
            return Err(Invalid::new(
                "file path",
                path,
                format!("`{STAGING}` begins what is staged; rename it"),
            ));
        }
        if let Some(above) = above.find(|above| seen.contains(above)) {
            return Err(Invalid::new(
                "file path",
                path,
                format!("`{above}` is a file and cannot be a directory too"),
            ));
        }
    }
    Ok(())
}

fn check_count(count: usize) -> Result<(), Invalid> {
    if count <= MOST_FILES {
        return Ok(());
    }
    let why = format!("a version has at most {MOST_FILES} files; pack small ones into an archive");
    Err(Invalid::new("content", format!("{count} files"), why))
}

/// Every regular file below `root`. Anything else in there is refused, never skipped.
fn walk(root: &Path) -> Result<Vec<Source>> {
    let refused =
        |path: &Path, why: &str| -> Error { Invalid::new("content", path.to_string_lossy(), why).into() };
    match fs::metadata(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(refused(root, "there is no such directory; check the path"));
        }
        Err(error) => return Err(local("read", root)(error)),
        Ok(metadata) if !metadata.is_dir() => {
            return Err(refused(root, "it is not a directory; name the directory that holds the files"));
        }
        Ok(_) => {}
    }
    let mut files = Vec::new();
    let mut pending = vec![(root.to_owned(), String::new(), 0)];
    while let Some((directory, prefix, depth)) = pending.pop() {
        for entry in fs::read_dir(&directory).map_err(local("list", &directory))? {
            let entry = entry.map_err(local("list", &directory))?;
            let path = entry.path();
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                return Err(refused(
                    &path,
                    "its name is not UTF-8 and would not survive another system; rename it",
                ));
            };
            if name.starts_with(STAGING) {
                return Err(refused(
                    &path,
                    "it belongs to a download into this directory, under way or broken off; wait for it, or remove it",
                ));
            }
            let relative = format!("{prefix}{name}");
            let kind = entry.file_type().map_err(local("inspect", &path))?;
            if kind.is_symlink() {
                return Err(refused(
                    &path,
                    "it is a symbolic link, which points outside of what is published; copy the file instead",
                ));
            } else if kind.is_dir() {
                if depth == DEEPEST {
                    return Err(refused(
                        &path,
                        "it lies more than 64 directories deep; flatten the directory",
                    ));
                }
                pending.push((path, format!("{relative}/"), depth + 1));
            } else if kind.is_file() {
                check_count(files.len() + 1)?;
                let size = entry.metadata().map_err(local("inspect", &path))?.len();
                files.push(Source { path: relative.parse()?, size: Some(size), origin: Origin::File(path) });
            } else {
                return Err(refused(
                    &path,
                    "it is neither a file nor a directory; remove it from the directory",
                ));
            }
        }
    }
    if files.is_empty() {
        return Err(refused(root, "there are no files in it; put the files of the model there first"));
    }
    Ok(files)
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            Self::Stream(_) => f.write_str("stream"),
        }
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { path, .. } => path.fmt(f),
            Self::Stream { .. } => f.write_str("stream"),
        }
    }
}
