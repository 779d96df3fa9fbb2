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
        // One that is not greater than the last is written out.
        match id.checked_sub(last).filter(|step| *step > 0) {
            Some(step) => bytes.push(step << 4 | kind),
            None => bytes.extend([vec![kind], zigzag(id.into())].concat()),
        }
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
        table(&self.content(), &vec![vec![("word", self, 4)]; groups])
    }

    fn content(&self) -> Vec<u8> {
        [self.dictionary.clone().unwrap_or_default(), self.pages.clone()].concat()
    }

    fn leaf(&self, name: &str) -> Vec<u8> {
        let leaf = [(1, I32(self.kind)), (3, I32(self.optional.into())), (4, Text(name.into()))];
        // UTF-8.
        fields(leaf.into_iter().chain((self.kind == BYTE_ARRAY).then_some((6, I32(0)))))
    }

    /// What a group says of this column, whose bytes begin there.
    fn chunk(&self, name: &str, start: i64) -> Vec<u8> {
        let length = self.content().len() as i64;
        let before = self.dictionary.as_ref().map_or(0, Vec::len) as i64;
        let mut about = vec![
            (1, I32(self.kind)),
            (2, List(5, self.encodings.iter().map(|encoding| zigzag(*encoding)).collect())),
            (3, List(8, vec![text(name.as_bytes())])),
            (4, I32(0)),
            (5, I64(self.rows)),
            (6, I64(length)),
            (7, I64(length)),
            (9, I64(start + before)),
        ];
        about.extend(self.dictionary.is_some().then_some((11, I64(start))));
        fields([(2, I64(start)), (3, Struct(fields(about)))])
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

/// Of groups of columns, each with its name and where its bytes begin.
fn table(content: &[u8], groups: &[Vec<(&str, &Parquet, i64)>]) -> Vec<u8> {
    let leaves = groups[0].iter().map(|(name, column, _)| column.leaf(name));
    let schema = [root(groups[0].len() as i64)].into_iter().chain(leaves).collect();
    let group = |columns: &Vec<(&str, &Parquet, i64)>| {
        let chunks = columns.iter().map(|(name, column, start)| column.chunk(name, *start)).collect();
        let rows = columns[0].1.rows;
        fields([(1, List(12, chunks)), (2, I64(content.len() as i64)), (3, I64(rows))])
    };
    let rows = groups.iter().map(|columns| columns[0].1.rows).sum();
    finished(content, schema, rows, groups.iter().map(group).collect())
}

fn finished(pages: &[u8], schema: Vec<Vec<u8>>, rows: i64, groups: Vec<Vec<u8>>) -> Vec<u8> {
    ended(pages, [(1, I32(1)), (2, List(12, schema)), (3, I64(rows)), (4, List(12, groups))])
}

fn ended(pages: &[u8], footer: impl IntoIterator<Item = (u8, Thrift)>) -> Vec<u8> {
    let footer = fields(footer);
    let length = (footer.len() as u32).to_le_bytes();
    [b"PAR1", pages, &footer, &length, b"PAR1"].concat()
}

fn opened(bytes: Vec<u8>) -> Result<Summary, String> {
    opened_as(bytes, &Reading::default())
}

fn opened_as(bytes: Vec<u8>, reading: &Reading) -> Result<Summary, String> {
    let desk: TempDir = tempfile::tempdir().unwrap();
    let path: PathBuf = desk.path().join("table.parquet");
    std::fs::write(&path, bytes).unwrap();
    Summary::open(&path, reading).map_err(|error| error.to_string())
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
    let bytes = [lengths, b"defrde".to_vec()].concat();
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
    let nothing = nothing.open().unwrap();
    let column = nothing.column("word").unwrap();
    assert_eq!((column.missing(), column.kind()), (1 << 20, "numeric"), "as its type says");
}

#[test]
fn a_dictionary_has_no_more_values_than_its_bytes_hold() {
    // Of no bytes each there could be three.
    for claimed in [4, 1 << 24] {
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

/// The decoder goes by the numbers of fields, so what is of another kind would be other bytes to it.
#[test]
fn fields_are_of_the_kinds_that_the_decoder_takes_them_for() {
    let leaf = || fields([(1, I32(INT32)), (3, I32(0)), (4, Text(b"leaf".to_vec()))]);
    let sound = || [(2, List(12, vec![root(1), leaf()])), (3, I64(0)), (4, List(12, Vec::new()))];
    let refused = |fields: Vec<(u8, Thrift)>| {
        let why = opened(ended(&[], fields)).unwrap_err();
        assert!(why.contains("its footer is no footer"), "{why}");
    };
    // A version that is bytes: a number to the decoder, behind which a schema begins that nobody looked at.
    let hidden = fields([(2, List(12, vec![root(1), leaf()]))]);
    refused([(1, Text(hidden[..hidden.len() - 1].to_vec()))].into_iter().chain(sound()).collect());
    refused(
        [(1, I32(1)), (2, List(12, vec![root(1), leaf()]))]
            .into_iter()
            .chain([(2, List(12, vec![leaf()]))])
            .collect(),
    );
    // Flags that are a byte each to some and nothing to others.
    let flags = (15, List(2, vec![vec![1], vec![1]]));
    refused([(1, I32(1))].into_iter().chain(sound()).chain([flags]).collect());
    for odd in [
        (1, Text(vec![0])),
        (9, I64(0)),
        (10, Text(vec![0])),
        (10, Struct(fields([(5, Struct(fields([(1, Text(vec![0]))])))]))),
    ] {
        let element = match odd.0 {
            1 => fields([odd, (3, I32(0)), (4, Text(b"leaf".to_vec()))]),
            _ => fields([(1, I32(INT32)), (3, I32(0)), (4, Text(b"leaf".to_vec())), odd]),
        };
        refused(vec![(1, I32(1)), (2, List(12, vec![root(1), element]))]);
    }
    let group = fields([(1, List(12, vec![fields([(2, Text(vec![0]))])]))]);
    let [schema, rows, _] = sound();
    refused(vec![(1, I32(1)), schema, rows, (4, List(12, vec![group]))]);
    // A checksum that is bytes, with another length in them.
    let (bytes, about) =
        (plain(&[b"de"]), fields([(1, I32(1)), (2, I32(PLAIN)), (3, I32(RLE)), (4, I32(RLE))]));
    let length = bytes.len() as i64;
    let header = |crc: Thrift| {
        let header = [(1, I32(0)), (2, I32(length)), (3, I32(length)), (4, crc), (5, Struct(about.clone()))];
        Parquet::texts(1, PLAIN, [fields(header), bytes.clone()].concat())
    };
    assert_eq!(categories(&header(I32(7)).open().unwrap()), [("de".to_owned(), 1)]);
    let why = header(Text(fields([(2, I32(1 << 30))]))).refused();
    assert!(why.contains("column `word`") && why.contains("the header of a page is no header"), "{why}");
}

/// The decoder makes room for all that a list is said to hold, up to a hundred bytes for each of the file.
#[test]
fn lists_of_a_footer_are_as_long_as_can_be_borne() {
    let leaf = fields([(1, I32(INT32)), (3, I32(0)), (4, Text(b"leaf".to_vec()))]);
    for (id, most, named) in
        [(4, 1 << 18, "groups of rows"), (5, 1 << 16, "key-value pairs"), (7, 16_384, "orders of columns")]
    {
        let fields = [(1, I32(1)), (2, List(12, vec![root(1), leaf.clone()])), (3, I64(0))];
        let long = (id, List(12, vec![vec![0]; most + 1]));
        let why = opened(ended(&[], fields.into_iter().chain([long]))).unwrap_err();
        assert!(
            why.contains(&format!("{} {named}, more than {most}; write it with fewer", most + 1)),
            "{why}"
        );
    }
}

/// Columns of identifiers, which are looked at and never read to their end.
#[test]
fn what_is_only_looked_at_is_not_read_over_and_over_either() {
    let users: Vec<String> = (0..300).map(|row| format!("user-{row}")).collect();
    let users: Vec<&[u8]> = users.iter().map(|user| user.as_bytes()).collect();
    let column = Parquet::texts(300, PLAIN, page(300, PLAIN, &plain(&users)));
    let names: Vec<String> = (0..200).map(|column| format!("c{column}")).collect();
    let columns = names.iter().map(|name| (name.as_str(), &column, 4)).collect();
    let why = opened(table(&column.content(), &[columns])).unwrap_err();
    assert!(why.contains("its columns say they are longer than the file; write it again"), "{why}");
}

#[test]
fn columns_that_nobody_asked_for_are_not_looked_at() {
    let sound = Parquet::texts(3, PLAIN, page(3, PLAIN, &plain(&[b"de", b"fr", b"de"])));
    let long = vec![b'x'; (4 << 20) + 1];
    let other = Parquet::texts(3, PLAIN, page(3, PLAIN, &plain(&[&long, b"fr", b"de"])));
    let content = [sound.content(), other.content()].concat();
    let start = 4 + sound.content().len() as i64;
    let bytes = table(&content, &[vec![("word", &sound, 4), ("long", &other, start)]]);
    let why = opened(bytes.clone()).unwrap_err();
    assert!(why.contains("column `long`") && why.contains("or name the other columns"), "{why}");
    let only = |kind| Reading { columns: [("word".to_owned(), kind)].into(), ..Reading::default() };
    assert_eq!(opened_as(bytes.clone(), &only(None)).unwrap().rows(), 3);
    // Nor are those whose kind is said.
    let texts = opened_as(bytes, &only(Some(Kind::Text))).unwrap();
    assert_eq!(texts.column("word").unwrap().kind(), "text");
}

#[test]
fn kinds_are_told_from_the_first_group_that_has_rows() {
    let numbers: Vec<u8> = (0..200_i32).flat_map(i32::to_le_bytes).collect();
    let full = Parquet { kind: INT32, ..Parquet::texts(200, PLAIN, page(200, PLAIN, &numbers)) };
    let empty = Parquet { kind: INT32, ..Parquet::texts(0, PLAIN, Vec::new()) };
    let bytes = table(&full.content(), &[vec![("word", &empty, 4)], vec![("word", &full, 4)]]);
    let read = opened(bytes).unwrap();
    let column = read.column("word").unwrap();
    assert_eq!((column.kind(), column.count()), ("numeric", 200));
    // Of no rows at all the type is known, and a table of several files is what those with rows are.
    let nothing = table(&[], &[vec![("word", &empty, 4)]]);
    assert_eq!(opened(nothing.clone()).unwrap().column("word").unwrap().kind(), "numeric");
    let desk: TempDir = tempfile::tempdir().unwrap();
    let paths = ["0.parquet", "1.parquet", "2.csv"].map(|name| desk.path().join(name));
    std::fs::write(&paths[0], nothing).unwrap();
    std::fs::write(&paths[1], with_dictionary(2, &plain(&[b"de", b"fr"]), 90, &[(60, 0), (30, 1)]).bytes())
        .unwrap();
    std::fs::write(&paths[2], "word\nit\n").unwrap();
    let all = Summary::open_all(&paths, &Reading::default()).unwrap();
    assert_eq!(categories(&all), [("de".to_owned(), 60), ("fr".to_owned(), 30), ("it".to_owned(), 1)]);
}
