//! Small makers of archives, which also make bad ones.

use std::io::Write as _;

use flate2::{Compression, write::DeflateEncoder};

/// A zip in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Zip {
    members: Vec<Member>,
    /// What stands before the first member.
    pub(crate) prefix: Vec<u8>,
    /// What stands between the members and the central directory.
    pub(crate) gap: Vec<u8>,
    /// What stands behind the end.
    pub(crate) suffix: Vec<u8>,
}

/// A member, with what its two headers say.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) content: Vec<u8>,
    pub(crate) size: u32,
    pub(crate) crc: u32,
    pub(crate) local: Header,
    pub(crate) central: Header,
    pub(crate) mode: u32,
    pub(crate) listed: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) name: Vec<u8>,
    pub(crate) flags: u16,
    pub(crate) method: u16,
}

impl Member {
    /// Stored as it is.
    pub(crate) fn stored(name: &str, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref().to_vec();
        let header = Header { name: name.as_bytes().to_vec(), flags: 0, method: 0 };
        let mut crc = flate2::Crc::new();
        crc.update(&content);
        Self {
            size: content.len() as u32,
            crc: crc.sum(),
            content,
            local: header.clone(),
            central: header,
            mode: 0,
            listed: true,
        }
    }

    /// Deflated.
    pub(crate) fn deflated(name: &str, content: impl AsRef<[u8]>) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content.as_ref()).expect("memory can be written");
        Self::packed(name, 8, content, encoder.finish().expect("memory can be written"))
    }

    /// Packed by any method.
    pub(crate) fn packed(name: &str, method: u16, content: impl AsRef<[u8]>, packed: Vec<u8>) -> Self {
        let mut member = Self::stored(name, content);
        member.content = packed;
        (member.local.method, member.central.method) = (method, method);
        member
    }

    /// With something changed.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl Zip {
    pub(crate) fn of(members: impl IntoIterator<Item = Member>) -> Self {
        Self { members: members.into_iter().collect(), ..Self::default() }
    }

    pub(crate) fn finish(&self) -> Vec<u8> {
        let mut file = self.prefix.clone();
        let mut central = Vec::new();
        let mut listed = 0_u16;
        for member in &self.members {
            let offset = file.len() as u32;
            let Header { name, flags, method } = &member.local;
            let described = flags & 8 != 0;
            file.extend(b"PK\x03\x04\x14\0");
            file.extend(flags.to_le_bytes());
            file.extend(method.to_le_bytes());
            file.extend([0; 4]);
            let sizes = [member.crc, member.content.len() as u32, member.size];
            sizes.iter().for_each(|n| file.extend(if described { [0; 4] } else { n.to_le_bytes() }));
            file.extend((name.len() as u16).to_le_bytes());
            file.extend([0; 2]);
            file.extend(name);
            file.extend(&member.content);
            if described {
                file.extend(b"PK\x07\x08");
                sizes.iter().for_each(|n| file.extend(n.to_le_bytes()));
            }
            if !member.listed {
                continue;
            }
            listed += 1;
            let Header { name, flags, method } = &member.central;
            central.extend(b"PK\x01\x02\x14\x03\x14\0");
            central.extend(flags.to_le_bytes());
            central.extend(method.to_le_bytes());
            central.extend([0; 4]);
            sizes.iter().for_each(|n| central.extend(n.to_le_bytes()));
            central.extend((name.len() as u16).to_le_bytes());
            central.extend([0; 8]);
            central.extend((member.mode << 16).to_le_bytes());
            central.extend(offset.to_le_bytes());
            central.extend(name);
        }
        file.extend(&self.gap);
        let start = file.len() as u32;
        file.extend(&central);
        file.extend(b"PK\x05\x06\0\0\0\0");
        file.extend(listed.to_le_bytes());
        file.extend(listed.to_le_bytes());
        file.extend((central.len() as u32).to_le_bytes());
        file.extend(start.to_le_bytes());
        file.extend([0; 2]);
        file.extend(&self.suffix);
        file
    }
}

/// A tar of these members; a link if the content is one.
pub(crate) fn tar(members: &[(&str, u8, &[u8])]) -> Vec<u8> {
    let mut file = Vec::new();
    for (name, kind, content) in members {
        let mut block = [0; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[100..108].copy_from_slice(b"0000644\0");
        let linked = matches!(kind, b'1' | b'2');
        let size = if linked { 0 } else { content.len() };
        block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
        block[148..156].fill(b' ');
        block[156] = *kind;
        if linked {
            block[157..157 + content.len()].copy_from_slice(content);
        }
        block[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        file.extend(block);
        if !linked {
            file.extend(*content);
            file.resize(file.len().next_multiple_of(512), 0);
        }
    }
    file.extend([0; 1024]);
    file
}
