//! Parquet made by hand to ask for more than it holds.

use std::path::PathBuf;

use tempfile::TempDir;
use tidegate_validation::drift::{Column, Kind, Reading, Summary};

/// A value in Thrift's compact protocol.
enum Thrift {
    I32(i64),
    I64(i64),
    Text(Vec<u8>),
    /// Of numbers, of texts or of structs.
    List(u8, Vec<Vec<u8>>),
    Struct(Vec<u8>),
}

use Thrift::{I32, I64, List, Struct, Text};

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn zigzag(value: i64) -> Vec<u8> {
    varint((value << 1 ^ value >> 63) as u64)
}

fn text(text: &[u8]) -> Vec<u8> {
    [varint(text.len() as u64), text.to_vec()].concat()
}

/// A struct with these fields, in order.
fn fields(fields: impl IntoIterator<Item = (u8, Thrift)>) -> Vec<u8> {
    let (mut bytes, mut last) = (Vec::new(), 0);
    for (id, value) in fields {
        let (kind, value) = match value {
            I32(number) => (5, zigzag(number)),
            I64(number) => (6, zigzag(number)),
            Text(value) => (8, text(&value)),
            List(kind, values) => {
                let head = [vec![0xf0 | kind], varint(values.len() as u64)].concat();
                (9, [head, values.concat()].concat())
            }
            Struct(value) => (12, value),
        };
        bytes.push((id - last) << 4 | kind);
        bytes.extend(value);
        last = id;
    }
    bytes.push(0);
    bytes
}

const PLAIN: i64 = 0;
const RLE: i64 = 3;
const DELTA_LENGTH: i64 = 6;
const DELTA: i64 = 7;
const DICTIONARY: i64 = 8;
const INT32: i64 = 1;
const BYTE_ARRAY: i64 = 6;

/// A page of values, in front of whose bytes stands how many there are said to be.
fn page(values: i64, encoding: i64, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as i64;
    let about = [(1, I32(values)), (2, I32(encoding)), (3, I32(RLE)), (4, I32(RLE))];
    let header = [(1, I32(0)), (2, I32(length)), (3, I32(length)), (5, Struct(fields(about)))];
    [fields(header), bytes.to_vec()].concat()
}

fn dictionary(values: i64, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as i64;
    let about = [(1, I32(values)), (2, I32(PLAIN))];
    let header = [(1, I32(2)), (2, I32(length)), (3, I32(length)), (7, Struct(fields(about)))];
    [fields(header), bytes.to_vec()].concat()
}

/// Texts one after the other, each behind its length.
fn plain(texts: &[&[u8]]) -> Vec<u8> {
    texts.iter().flat_map(|text| [&(text.len() as u32).to_le_bytes(), *text].concat()).collect()
}

/// Which entries of a dictionary of two the values are: runs of them.
fn runs(runs: &[(u64, u8)]) -> Vec<u8> {
    let run = |(length, entry): &(u64, u8)| [varint(length << 1), vec![*entry]].concat();
    [vec![1], runs.iter().flat_map(run).collect()].concat()
}

fn root(children: i64) -> Vec<u8> {
    fields([(4, Text(b"schema".to_vec())), (5, I32(children))])
}

struct Parquet {
    kind: i64,
    rows: i64,
    encodings: Vec<i64>,
    optional: bool,
    dictionary: Option<Vec<u8>>,
    pages: Vec<u8>,
}

impl Parquet {
    /// One column of texts of this encoding.
    fn texts(rows: i64, encoding: i64, pages: Vec<u8>) -> Self {
        let encodings = vec![encoding];
        Self { kind: BYTE_ARRAY, rows, encodings, optional: false, dictionary: None, pages }
    }

    fn bytes(&self) -> Vec<u8> {
        self.repeated(1)
    }

    /// So many groups of the same bytes.
    fn repeated(&self, groups: usize) -> Vec<u8> {
        let first = self.dictionary.clone().unwrap_or_default();
        let length = (first.len() + self.pages.len()) as i64;
        let leaf = [(1, I32(self.kind)), (3, I32(self.optional.into())), (4, Text(b"word".to_vec()))];
        // UTF-8.
        let leaf = leaf.into_iter().chain((self.kind == BYTE_ARRAY).then_some((6, I32(0))));
        let mut about = vec![
            (1, I32(self.kind)),
            (2, List(5, self.encodings.iter().map(|encoding| zigzag(*encoding)).collect())),
            (3, List(8, vec![text(b"word")])),
            (4, I32(0)),
            (5, I64(self.rows)),
            (6, I64(length)),
            (7, I64(length)),
            (9, I64(4 + first.len() as i64)),
        ];
        about.extend(self.dictionary.is_some().then_some((11, I64(4))));
        let chunk = fields([(2, I64(4)), (3, Struct(fields(about)))]);
        let group = fields([(1, List(12, vec![chunk])), (2, I64(length)), (3, I64(self.rows))]);
        let schema = vec![root(1), fields(leaf)];
        finished(&[first, self.pages.clone()].concat(), schema, self.rows, vec![group; groups])
    }

    fn open(&self) -> Result<Summary, String> {
        opened(self.bytes())
    }

    /// Why it is not read.
    fn refused(&self) -> String {
        let why = self.open().unwrap_err();
        assert!(why.contains("table.parquet") && why.contains("; "), "{why}");
        why
    }
}

fn finished(pages: &[u8], schema: Vec<Vec<u8>>, rows: i64, groups: Vec<Vec<u8>>) -> Vec<u8> {
    let footer = fields([(1, I32(1)), (2, List(12, schema)), (3, I64(rows)), (4, List(12, groups))]);
    let length = (footer.len() as u32).to_le_bytes();
    [b"PAR1", pages, &footer, &length, b"PAR1"].concat()
}

fn opened(bytes: Vec<u8>) -> Result<Summary, String> {
    let desk: TempDir = tempfile::tempdir().unwrap();
    let path: PathBuf = desk.path().join("table.parquet");
    std::fs::write(&path, bytes).unwrap();
    Summary::open(&path, &Reading::default()).map_err(|error| error.to_string())
}

fn categories(table: &Summary) -> Vec<(String, u64)> {
    match table.column("word") {
        Some(Column::Categorical(column)) => {
            column.categories().map(|(name, n)| (name.to_owned(), n)).collect()
        }
        column => panic!("{column:?}"),
    }
}

fn with_dictionary(values: i64, entries: &[u8], rows: i64, refer: &[(u64, u8)]) -> Parquet {
    let sound = Parquet::texts(rows, DICTIONARY, page(rows, DICTIONARY, &runs(refer)));
    Parquet { dictionary: Some(dictionary(values, entries)), ..sound }
}

/// What is refused below is refused for what is wrong with it, and not for how it is written here.
#[test]
fn sound_files_of_the_same_make_are_read() {
    let table = with_dictionary(2, &plain(&[b"de", b"fr"]), 90, &[(60, 0), (30, 1)]).open().unwrap();
    assert_eq!(categories(&table), [("de".to_owned(), 60), ("fr".to_owned(), 30)]);
    let texts = Parquet::texts(3, PLAIN, page(3, PLAIN, &plain(&[b"de", b"fr", b"de"])));
    assert_eq!(categories(&texts.open().unwrap()), [("de".to_owned(), 2), ("fr".to_owned(), 1)]);
    // Three lengths of 2: the first in the header, and differences of 0 in parts without bits.
    let lengths = [varint(128), varint(4), varint(3), zigzag(2), zigzag(0), vec![0; 4]].concat();
    let bytes = [lengths.clone(), b"defrde".to_vec()].concat();
    let texts = Parquet::texts(3, DELTA_LENGTH, page(3, DELTA_LENGTH, &bytes));
    assert_eq!(categories(&texts.open().unwrap()), [("de".to_owned(), 2), ("fr".to_owned(), 1)]);
    let shared = [varint(128), varint(4), varint(3), zigzag(0), zigzag(0), vec![0; 4]].concat();
    let texts = Parquet::texts(3, DELTA, page(3, DELTA, &[shared, bytes].concat()));
    assert_eq!(categories(&texts.open().unwrap()), [("de".to_owned(), 2), ("fr".to_owned(), 1)]);
    // A million rows without a value are a few bytes, and read.
    let (rows, levels) = (1 << 20, [varint(1 << 21), vec![0]].concat());
    let levels = [(levels.len() as u32).to_le_bytes().to_vec(), levels].concat();
    let nothing =
        Parquet { kind: INT32, optional: true, ..Parquet::texts(rows, PLAIN, page(rows, PLAIN, &levels)) };
    assert_eq!(nothing.open().unwrap().column("word").unwrap().missing(), 1 << 20);
}

#[test]
fn a_dictionary_has_no_more_values_than_its_bytes_hold() {
    for claimed in [3, 1 << 24] {
        let why = with_dictionary(claimed, &plain(&[b"de", b"fr"]), 90, &[(90, 0)]).refused();
        let expected = format!("column `word`: a dictionary says it has {claimed} values, and its 12 bytes");
        assert!(why.contains(&expected), "{why}");
    }
    let many = (1 << 22) + 1;
    let why = with_dictionary(many, &vec![0; 4 * many as usize], 90, &[(90, 0)]).refused();
    assert!(why.contains("at most 4194304 are read; write the column without a dictionary"), "{why}");
}

#[test]
fn pages_have_no_more_values_than_there_are_rows() {
    let lying = Parquet::texts(10, DICTIONARY, page(1 << 30, DICTIONARY, &runs(&[(1 << 30, 0)])));
    let lying = Parquet { dictionary: Some(dictionary(1, &plain(&[b"de"]))), ..lying };
    let why = lying.refused();
    assert!(why.contains("column `word`: its pages say they have more values than there are rows"), "{why}");
}

#[test]
fn a_few_bytes_are_no_hours_of_work() {
    let rows = 1 << 29;
    let why = with_dictionary(1, &plain(&[b"de"]), rows, &[(rows as u64, 0)]).refused();
    assert!(why.contains("it says it has 536870912 values in"), "{why}");
    assert!(why.contains("name the columns of interest"), "{why}");
}

#[test]
fn texts_have_no_more_lengths_than_there_are_values() {
    let lengths = |count: u64| {
        let block = varint(1 << 30);
        [block, varint(1), varint(count), zigzag(0), zigzag(0), vec![0]].concat()
    };
    let many = lengths(1 << 24);
    let why = Parquet::texts(3, DELTA_LENGTH, page(3, DELTA_LENGTH, &many)).refused();
    assert!(why.contains("column `word`: a page of 3 values says it has 16777216 texts"), "{why}");
    // The same of the second of two.
    let shared = [lengths(3), many].concat();
    let why = Parquet::texts(3, DELTA, page(3, DELTA, &shared)).refused();
    assert!(why.contains("a page of 3 values says it has 16777216 texts"), "{why}");
    // One at a time where each may be as long as all before it, so it has to be said.
    let unsaid = Parquet { encodings: vec![PLAIN], ..Parquet::texts(3, DELTA, page(3, DELTA, &shared)) };
    assert!(unsaid.refused().contains("encoded as its column is not said to be"));
}

#[test]
fn no_value_is_longer_than_a_row_may_be() {
    let long = vec![b'x'; (4 << 20) + 1];
    let why = with_dictionary(1, &plain(&[&long]), 9, &[(9, 0)]).refused();
    assert!(why.contains("column `word`: a value has 4194305 bytes, and the longest"), "{why}");
}

/// After 32 MiB of numbers written at great length there are words, too late to be seen.
#[test]
fn kinds_are_told_from_what_can_be_held() {
    let number = [vec![b'0'; 200_000], b"1.5".to_vec()].concat();
    let entries = plain(&[&number, b"no number, and a text of several words that is longer than names are"]);
    let table = with_dictionary(2, &entries, 2_000, &[(200, 0), (1_800, 1)]).open().unwrap();
    assert_eq!(table.column("word").unwrap().kind(), Kind::Numeric.word());
}

#[test]
fn columns_are_as_deep_and_as_many_as_can_be_borne() {
    let group =
        |name: &[u8], children: i64| fields([(3, I32(0)), (4, Text(name.to_vec())), (5, I32(children))]);
    let leaf = || fields([(1, I32(INT32)), (3, I32(0)), (4, Text(b"leaf".to_vec()))]);
    let refused = |schema: Vec<Vec<u8>>| opened(finished(&[], schema, 0, Vec::new())).unwrap_err();
    let mut deep = vec![root(1)];
    deep.extend((0..9_000).map(|_| group(b"g", 1)));
    deep.push(leaf());
    assert!(refused(deep).contains("nested deeper than 32 groups; write them less deeply"));
    let why = refused(vec![root(i64::from(i32::MAX)), leaf()]);
    assert!(why.contains("a group says it has more columns than there are; write it again"), "{why}");
    let long = refused(vec![root(1), group(&[b'g'; 300], 1), leaf()]);
    assert!(long.contains("longer than 256 bytes; give it a shorter one"), "{long}");
    let mut many = vec![root(20_000)];
    many.extend((0..20_000).map(|_| leaf()));
    assert!(refused(many).contains("20001 columns and groups of columns, more than 16384"));
    let why = refused(vec![root(2), leaf(), leaf()]);
    assert!(why.contains("column `leaf`: two columns have this name; rename one"), "{why}");
}

#[test]
fn no_bytes_are_read_over_and_over() {
    let texts = Parquet::texts(300, PLAIN, page(300, PLAIN, &plain(&[&b"word"[..]; 300])));
    assert_eq!(opened(texts.repeated(1)).unwrap().rows(), 300);
    let why = opened(texts.repeated(20)).unwrap_err();
    assert!(why.contains("its columns say they are longer than the file; write it again"), "{why}");
}

/// What a page says of its length once more is what the decoder would believe.
#[test]
fn a_page_says_its_length_in_one_way() {
    let sound = page(3, PLAIN, &plain(&[b"de", b"fr", b"de"]));
    // The decompressed length again, as a number of 64 bits.
    let at = 1 + 1 + 1 + 1;
    let again = [&sound[..at], &[0x06], &zigzag(2)[..], &zigzag(1 << 30)[..], &sound[at..]].concat();
    let why = Parquet::texts(3, PLAIN, again).refused();
    assert!(why.contains("column `word`") && why.contains("the header of a page is no header"), "{why}");
}
