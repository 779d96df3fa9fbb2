//! Archives, streams, and what PyTorch, NumPy and joblib make of them.

use std::io::{Cursor, Write as _};

use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use tidegate_validation::{
    Reason, Verdict,
    scan::{Content, Limits, Rule, Scanner},
};

use crate::{
    archive::{Member, Zip, tar},
    assemble::Pickle,
    assert_clean, assert_fails, assert_suspicious, rules, scan,
};

fn evil() -> Vec<u8> {
    Pickle::protocol(4).stack_global("os", "system").call_with("id").stop()
}

fn harmless() -> Vec<u8> {
    Pickle::protocol(2).global("collections", "OrderedDict").raw(")R").stop()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

/// Every way to pack a stream that the scanner knows.
fn streams(content: &[u8]) -> Vec<(Content, Vec<u8>)> {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(content).expect("memory can be written");
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    bzip2.write_all(content).expect("memory can be written");
    let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
    lz4.write_all(content).expect("memory can be written");
    let options = lzma_rust2::XzOptions::with_preset(1);
    let mut xz = lzma_rust2::XzWriter::new(Vec::new(), options).expect("the options are sound");
    xz.write_all(content).expect("memory can be written");
    let options = lzma_rust2::LzmaOptions::with_preset(1);
    let mut lzma =
        lzma_rust2::LzmaWriter::new_use_header(Vec::new(), &options, None).expect("the options are sound");
    lzma.write_all(content).expect("memory can be written");
    let zstd = ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest);
    vec![
        (Content::Gzip, gzip(content)),
        (Content::Zlib, zlib.finish().expect("memory can be written")),
        (Content::Bzip2, bzip2.finish().expect("memory can be written")),
        (Content::Lz4, lz4.finish().expect("memory can be written")),
        (Content::Xz, xz.finish().expect("memory can be written")),
        (Content::Lzma, lzma.finish().expect("memory can be written")),
        (Content::Zstd, zstd),
    ]
}

#[test]
fn every_stream_is_unpacked() {
    for ((content, bad), (_, good)) in streams(&evil()).into_iter().zip(streams(&harmless())) {
        let found = scan(&bad);
        assert_eq!((found.content, &found.verdict), (content, &Verdict::Fail), "{found:#?}");
        assert_clean(&good);
        // Cut short, it is not clean.
        assert_ne!(scan(&good[..good.len() - 9]).verdict, Verdict::Pass, "{content}");
    }
}

#[test]
fn a_second_stream_behind_the_first_is_unpacked_too() {
    for ((content, first), (_, second)) in streams(&harmless()).into_iter().zip(streams(&evil())) {
        if matches!(content, Content::Zlib | Content::Lzma) {
            continue;
        }
        let both = [first, second].concat();
        assert_eq!(scan(&both).verdict, Verdict::Fail, "{content}");
    }
}

#[test]
fn containers_in_containers() {
    let zip = Zip::of([Member::deflated("x", gzip(&evil()))]).finish();
    let outer = tar(&[("inner.zip", b'0', &zip)]);
    let found = scan(gzip(&outer));
    assert_eq!(found.verdict, Verdict::Fail);
    let members: Vec<_> = found.detections[0].member.iter().map(String::as_str).collect();
    assert_eq!(members, ["unpacked", "inner.zip", "x", "unpacked"]);
}

#[test]
fn nesting_ends() {
    let deep = (0..12).fold(harmless(), |inner, _| gzip(&inner));
    assert_suspicious(deep, Rule::LimitReached);
}

#[test]
fn a_bomb_is_not_unpacked() {
    let zeros = vec![0; 8 << 20];
    let found = scan(gzip(&zeros));
    assert!(matches!(found.verdict, Verdict::Inconclusive(Reason::ParseLimit { .. })), "{found:#?}");
    let limits = Limits { unpacked: 1000, ..Limits::default() };
    let found =
        Scanner::new().with_limits(limits).scan("x", &mut Cursor::new(gzip(&[7; 5000]))).expect("readable");
    assert!(matches!(found.verdict, Verdict::Inconclusive(Reason::ParseLimit { .. })), "{found:#?}");
}

#[test]
fn what_is_held_at_once_is_bounded() {
    let noise: Vec<u8> =
        (0..2_000_u32).map(|i| b'a' + (i.wrapping_mul(2_654_435_761) >> 24) as u8 % 26).collect();
    let inner = gzip(&noise);
    let limited = |file: Vec<u8>, disk: usize| {
        let limits = Limits { disk: disk as u64, ..Limits::default() };
        let found = Scanner::new().with_limits(limits).scan("x", &mut Cursor::new(file)).expect("readable");
        found.detections.iter().any(|detection| detection.rule == Rule::LimitReached)
    };
    let both = noise.len() + inner.len();
    assert!(limited(gzip(&inner), both - 1));
    assert!(!limited(gzip(&inner), both));
    // One after another they take the room of one.
    let members = ["a", "b", "c"].map(|name| Member::deflated(name, &noise));
    assert!(!limited(Zip::of(members).finish(), noise.len()));
}

#[test]
fn a_zip_is_read_whatever_it_is_called() {
    for member in [Member::stored("a.txt", evil()), Member::deflated("a.txt", evil())] {
        assert_fails(Zip::of([member]).finish(), Rule::PickleDangerousImport);
    }
    let good = Zip::of([Member::stored("a", harmless()), Member::deflated("b", harmless())]).finish();
    assert_clean(&good);
    assert!(rules(&good).is_empty());
    assert_clean(Zip::default().finish());
}

#[test]
fn flags_of_encryption_hide_nothing() {
    for flag in [1, 1 << 6, 1 << 13] {
        let member = Member::stored("a.pkl", evil()).with(|member| member.central.flags = flag);
        let file = Zip::of([member]).finish();
        assert_fails(&file, Rule::PickleDangerousImport);
        assert!(rules(&file).contains(&Rule::Encrypted));
    }
    let member = Member::stored("a.pkl", harmless()).with(|member| member.local.flags = 1);
    assert_suspicious(Zip::of([member]).finish(), Rule::Encrypted);
}

#[test]
fn a_method_that_nobody_knows_hides_nothing() {
    let member = Member::stored("a.pkl", evil()).with(|member| member.central.method = 99);
    let file = Zip::of([member]).finish();
    assert_fails(&file, Rule::PickleDangerousImport);
    assert!(rules(&file).contains(&Rule::ZipDisagreement));
    let member = Member::deflated("a.pkl", evil()).with(|member| member.central.method = 0);
    assert_fails(Zip::of([member]).finish(), Rule::PickleDangerousImport);
    let member = Member::packed("a.pkl", 77, harmless(), vec![0; 9]);
    assert_suspicious(Zip::of([member]).finish(), Rule::UnknownCompression);
}

#[test]
fn records_that_contradict_each_other() {
    let other_name = Member::stored("a.pkl", harmless()).with(|member| member.local.name = b"b.txt".to_vec());
    assert_suspicious(Zip::of([other_name]).finish(), Rule::ZipDisagreement);
    let twice = [Member::stored("a", harmless()), Member::stored("a", harmless())];
    assert_suspicious(Zip::of(twice).finish(), Rule::ZipDuplicate);
    let cut = Member::stored("a\0.txt", harmless());
    assert_suspicious(Zip::of([cut]).finish(), Rule::ZipDisagreement);
}

#[test]
fn a_data_descriptor_is_no_hidden_byte() {
    let member = Member::stored("a", harmless()).with(|member| {
        (member.local.flags, member.central.flags) = (8, 8);
    });
    let file = Zip::of([member, Member::stored("b", harmless())]).finish();
    assert_clean(&file);
    assert!(rules(&file).is_empty(), "{:?}", rules(&file));
}

#[test]
fn bytes_outside_the_members_are_looked_into() {
    let clean = Zip::of([Member::stored("a", harmless())]);
    let places: [fn(&mut Zip) -> &mut Vec<u8>; 3] =
        [|zip| &mut zip.prefix, |zip| &mut zip.gap, |zip| &mut zip.suffix];
    for place in places {
        let mut zip = clean.clone();
        *place(&mut zip) = b"some bytes".to_vec();
        assert_suspicious(zip.finish(), Rule::HiddenBytes);
    }
    for place in &places[..2] {
        let mut zip = clean.clone();
        *place(&mut zip) = evil();
        assert_fails(zip.finish(), Rule::PickleDangerousImport);
    }
    let unlisted = Member::deflated("b", evil()).with(|member| member.listed = false);
    assert_fails(Zip::of([Member::stored("a", harmless()), unlisted]).finish(), Rule::PickleDangerousImport);
}

#[test]
fn a_pickle_before_a_zip_and_a_zip_behind_a_pickle() {
    let mut zip = Zip::of([Member::stored("a", harmless())]);
    zip.prefix = evil();
    assert_fails(zip.finish(), Rule::PickleDangerousImport);
    let mut zip = Zip::of([Member::stored("a", evil())]);
    zip.prefix = harmless();
    assert_fails(zip.finish(), Rule::PickleDangerousImport);
    zip.prefix = b"MZ anything".to_vec();
    assert_fails(zip.finish(), Rule::PickleDangerousImport);
}

#[test]
fn a_zip_without_its_end() {
    let file = Zip::of([Member::stored("a", evil())]).finish();
    for cut in [1, 22, 60] {
        assert_fails(&file[..file.len() - cut], Rule::PickleDangerousImport);
    }
    let file = Zip::of([Member::stored("a", harmless())]).finish();
    assert_suspicious(&file[..file.len() - 22], Rule::Malformed);
}

#[test]
fn names_and_links_that_lead_out() {
    for name in ["../../etc/cron.d/x", "/etc/passwd", "C:\\x", "a\\..\\..\\x"] {
        assert_fails(Zip::of([Member::stored(name, "x")]).finish(), Rule::PathTraversal);
        assert_fails(tar(&[(name, b'0', b"x")]), Rule::PathTraversal);
    }
    let link = Member::stored("a", "/etc/passwd").with(|member| member.mode = 0o120_777);
    assert_fails(Zip::of([link]).finish(), Rule::LinkEscapes);
    assert_fails(tar(&[("a", b'2', b"../../x")]), Rule::LinkEscapes);
    assert_suspicious(tar(&[("a", b'2', b"b")]), Rule::LinkEscapes);
}

#[test]
fn a_tar_is_read_to_its_end() {
    assert_clean(tar(&[("a", b'0', &harmless()), ("b", b'0', b"text")]));
    assert_fails(tar(&[("a", b'0', b"text"), ("pickle", b'0', &evil())]), Rule::PickleDangerousImport);
    let mut more = tar(&[("a", b'0', b"text")]);
    more.extend(tar(&[("b", b'0', &evil())]));
    assert_fails(&more, Rule::PickleDangerousImport);
    let whole = tar(&[("a", b'0', b"text")]);
    assert_suspicious(&whole[..700], Rule::Malformed);
}

fn torch(pickle: Vec<u8>, storage: &[u8]) -> Zip {
    Zip::of([
        Member::stored("m/data.pkl", pickle),
        Member::stored("m/version", "3\n"),
        Member::stored("m/data/0", storage),
        Member::stored("m/code/__torch__.py", "def forward(self, x): return x\n"),
    ])
}

#[test]
fn a_torch_file_is_its_pickle_and_numbers() {
    let rebuilt = Pickle::protocol(2).global("torch._utils", "_rebuild_tensor_v2").raw("(NtR").stop();
    // Numbers that begin like a pickle, and like zlib.
    for storage in [&[0x80, 2, 0xff, 0xff, 1, 2][..], &[0x78, 0x9c, 1, 2, 3, 4]] {
        let file = torch(harmless(), storage).finish();
        assert_clean(&file);
        assert!(rules(&file).is_empty());
    }
    assert_clean(torch(rebuilt, b"").finish());
    assert_fails(torch(evil(), b"").finish(), Rule::PickleDangerousImport);
    assert_fails(torch(harmless(), &evil()).finish(), Rule::PickleDangerousImport);
}

#[test]
fn torchscript_that_reaches_files() {
    let code = "def forward(self): return torch.from_file(\"/etc/passwd\", False, 10)\n";
    let zip =
        Zip::of([Member::stored("m/data.pkl", harmless()), Member::deflated("m/code/__torch__.py", code)]);
    assert_fails(zip.finish(), Rule::TorchScriptOperator);
}

fn npy(descr: &str, content: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (1,), }}\n");
    let mut file = b"\x93NUMPY\x01\0".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(content);
    file
}

#[test]
fn an_array_of_objects_is_a_pickle() {
    assert_clean(npy("'<f8'", &[0x80, 4, 1, 2, 3, 4, 5, 6]));
    assert_clean(npy("'|O'", &harmless()));
    assert_fails(npy("'|O'", &evil()), Rule::PickleDangerousImport);
    assert_fails(npy("'<f8'", &evil()), Rule::PickleDangerousImport);
    let npz = Zip::of([Member::deflated("a.npy", npy("'|O'", &evil()))]);
    assert_fails(npz.finish(), Rule::PickleDangerousImport);
}

/// A 7z of two stored files.
pub(crate) fn seven(files: [&[u8]; 2]) -> Vec<u8> {
    let content = files.concat();
    let byte = |len: usize| u8::try_from(len).expect("files of tests are short");
    let (all, first) = (byte(content.len()), byte(files[0].len()));
    assert!(all < 0x80, "a longer number takes two bytes");
    let pack = [6, 0, 1, 9, all, 0];
    let folders = [7, 0x0b, 1, 0, 1, 1, 0, 0x0c, all, 0];
    let split = [8, 0x0d, 2, 9, first, 0];
    let header = [&[1, 4][..], &pack, &folders, &split, &[0, 0]].concat();
    let mut file = b"7z\xbc\xaf\x27\x1c\0\x04\0\0\0\0".to_vec();
    file.extend((content.len() as u64).to_le_bytes());
    file.extend((header.len() as u64).to_le_bytes());
    file.extend([0; 4]);
    file.extend(content);
    file.extend(header);
    file
}

#[test]
fn a_seven_zip_is_opened_or_not_clean() {
    assert_clean(seven([b"words", &harmless()]));
    assert_fails(seven([b"words", &evil()]), Rule::PickleDangerousImport);
    assert_fails(seven([&evil(), b"words"]), Rule::PickleDangerousImport);
    let unknown: Vec<_> = seven([b"words", &evil()]);
    let folder = unknown.windows(3).position(|window| window == [1, 1, 0]).expect("a coder of one byte");
    let mut unknown = unknown;
    unknown[folder + 2] = 0x77;
    assert_suspicious(unknown, Rule::UnknownCompression);
    assert_suspicious(b"7z\xbc\xaf\x27\x1c\0\x04 and more", Rule::Malformed);
}

#[test]
fn a_zip_is_unpacked_by_every_method() {
    for ((content, bad), (_, good)) in streams(&evil()).into_iter().zip(streams(&harmless())) {
        let method = match content {
            Content::Bzip2 => 12,
            Content::Lzma => 14,
            Content::Zstd => 93,
            Content::Xz => 95,
            _ => continue,
        };
        let packed = |stream: Vec<u8>| match method {
            // Version and length of the properties, which are the first five bytes of an lzma file.
            14 => [&[9, 20, 5, 0], &stream[..5], &stream[13..]].concat(),
            _ => stream,
        };
        assert_fails(
            Zip::of([Member::packed("a", method, evil(), packed(bad))]).finish(),
            Rule::PickleDangerousImport,
        );
        assert_clean(Zip::of([Member::packed("a", method, harmless(), packed(good))]).finish());
    }
}

/// NumPy takes all of these for objects, and unpickles what follows.
#[test]
fn an_array_of_objects_is_a_pickle_however_it_is_spelt() {
    let attack = b"N0cos\nsystem\n(S'id'\ntR.";
    for descr in ["'|O'", "'object_'", "'i4,O'", "'(2,)O'", r"'|\x4f'", "[('a', '<f8'), ('b', 'O')]"] {
        assert_fails(npy(descr, attack), Rule::PickleDangerousImport);
    }
}

/// joblib still loads what it wrote before 0.10.
#[test]
fn what_joblib_compressed_long_ago_is_opened() {
    let attack = b"cos\nsystem\n(S'id'\ntR.";
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
    packed.write_all(attack).expect("memory can be written");
    let packed = packed.finish().expect("memory can be written");
    for space in ["", " "] {
        let mut file = format!("ZF{:<19}{space}", format!("{:#x}", attack.len())).into_bytes();
        file.extend(&packed);
        let found = scan(&file);
        assert_eq!((found.content, found.verdict), (Content::JoblibZ, Verdict::Fail), "{space:?}");
    }
}
