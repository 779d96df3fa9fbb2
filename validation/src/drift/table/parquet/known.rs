//! What the decoder knows of the metadata of Parquet, by the numbers of their fields.

use super::{
    footer::MOST,
    thrift::{
        BINARY, DOUBLE, INT8, INT16, INT32, INT64,
        Shape::{self, Boolean, List, Of, Struct},
    },
};

/// Groups of rows: hardly ever more than some thousands.
const MOST_GROUPS: u64 = 1 << 18;
/// Key-value pairs, such as the schema that Arrow or pandas has of the table.
const MOST_PAIRS: u64 = 1 << 16;
/// Of one chunk: encodings of pages, kinds of geometries, levels of nesting.
const MOST_OF_A_CHUNK: u64 = 1 << 16;

/// `FileMetaData` but for the schema.
pub(super) const FOOTER: &[(i64, Shape)] = &[
    (1, Of(INT32)),
    (3, Of(INT64)),
    (4, List(&Struct(GROUP), MOST_GROUPS, "groups of rows")),
    (5, List(&Struct(PAIR), MOST_PAIRS, "key-value pairs")),
    (6, Of(BINARY)),
    (7, List(&Struct(ORDER), MOST, "orders of columns")),
    (8, Struct(&[])),
    (9, Of(BINARY)),
];

/// `SchemaElement` but for its name and how many children it has.
pub(super) const ELEMENT: &[(i64, Shape)] = &[
    (1, Of(INT32)),
    (2, Of(INT32)),
    (3, Of(INT32)),
    (6, Of(INT32)),
    (7, Of(INT32)),
    (8, Of(INT32)),
    (9, Of(INT32)),
    (10, Struct(LOGICAL)),
];

/// `PageHeader` but for the sizes.
pub(super) const PAGE: &[(i64, Shape)] = &[
    (1, Of(INT32)),
    (4, Of(INT32)),
    (5, Struct(&[(1, Of(INT32)), (2, Of(INT32)), (3, Of(INT32)), (4, Of(INT32)), (5, Struct(STATISTICS))])),
    (6, Struct(&[])),
    (7, Struct(&[(1, Of(INT32)), (2, Of(INT32)), (3, Boolean)])),
    (
        8,
        Struct(&[
            (1, Of(INT32)),
            (2, Of(INT32)),
            (3, Of(INT32)),
            (4, Of(INT32)),
            (5, Of(INT32)),
            (6, Of(INT32)),
            (7, Boolean),
            (8, Struct(STATISTICS)),
        ]),
    ),
];

/// `LogicalType`: those that say nothing more are structs without fields.
const LOGICAL: &[(i64, Shape)] = &[
    (1, Struct(&[])),
    (2, Struct(&[])),
    (3, Struct(&[])),
    (4, Struct(&[])),
    (5, Struct(&[(1, Of(INT32)), (2, Of(INT32))])),
    (6, Struct(&[])),
    (7, Struct(MOMENT)),
    (8, Struct(MOMENT)),
    (10, Struct(&[(1, Of(INT8)), (2, Boolean)])),
    (11, Struct(&[])),
    (12, Struct(&[])),
    (13, Struct(&[])),
    (14, Struct(&[])),
    (15, Struct(&[])),
    (16, Struct(&[(1, Of(INT8))])),
    (17, Struct(&[(1, Of(BINARY))])),
    (18, Struct(&[(1, Of(BINARY)), (2, Of(INT32))])),
    (19, Struct(&[])),
];

/// `TimeType` and `TimestampType`.
const MOMENT: &[(i64, Shape)] =
    &[(1, Boolean), (2, Struct(&[(1, Struct(&[])), (2, Struct(&[])), (3, Struct(&[]))]))];

/// `RowGroup`.
const GROUP: &[(i64, Shape)] = &[
    (1, List(&Struct(CHUNK), MOST, "columns in a group of rows")),
    (2, Of(INT64)),
    (3, Of(INT64)),
    (
        4,
        List(&Struct(&[(1, Of(INT32)), (2, Boolean), (3, Boolean)]), MOST, "columns that rows are sorted by"),
    ),
    (5, Of(INT64)),
    (6, Of(INT64)),
    (7, Of(INT16)),
];

/// `ColumnChunk`.
const CHUNK: &[(i64, Shape)] = &[
    (1, Of(BINARY)),
    (2, Of(INT64)),
    (3, Struct(ABOUT_CHUNK)),
    (4, Of(INT64)),
    (5, Of(INT32)),
    (6, Of(INT64)),
    (7, Of(INT32)),
    (8, Struct(&[])),
    (9, Of(BINARY)),
];

/// `ColumnMetaData`.
const ABOUT_CHUNK: &[(i64, Shape)] = &[
    (1, Of(INT32)),
    (2, List(&Of(INT32), MOST_OF_A_CHUNK, "encodings of a column")),
    (3, List(&Of(BINARY), MOST_OF_A_CHUNK, "names in the path of a column")),
    (4, Of(INT32)),
    (5, Of(INT64)),
    (6, Of(INT64)),
    (7, Of(INT64)),
    (8, List(&Struct(PAIR), MOST_PAIRS, "key-value pairs")),
    (9, Of(INT64)),
    (10, Of(INT64)),
    (11, Of(INT64)),
    (12, Struct(STATISTICS)),
    (
        13,
        List(
            &Struct(&[(1, Of(INT32)), (2, Of(INT32)), (3, Of(INT32))]),
            MOST_OF_A_CHUNK,
            "encodings of pages",
        ),
    ),
    (14, Of(INT64)),
    (15, Of(INT32)),
    (
        16,
        Struct(&[
            (1, Of(INT64)),
            (2, List(&Of(INT64), MOST_OF_A_CHUNK, "levels of a column")),
            (3, List(&Of(INT64), MOST_OF_A_CHUNK, "levels of a column")),
        ]),
    ),
    (
        17,
        Struct(&[
            (
                1,
                Struct(&[
                    (1, Of(DOUBLE)),
                    (2, Of(DOUBLE)),
                    (3, Of(DOUBLE)),
                    (4, Of(DOUBLE)),
                    (5, Of(DOUBLE)),
                    (6, Of(DOUBLE)),
                    (7, Of(DOUBLE)),
                    (8, Of(DOUBLE)),
                ]),
            ),
            (2, List(&Of(INT32), MOST_OF_A_CHUNK, "kinds of geometries")),
        ]),
    ),
];

/// `Statistics`.
const STATISTICS: &[(i64, Shape)] = &[
    (1, Of(BINARY)),
    (2, Of(BINARY)),
    (3, Of(INT64)),
    (4, Of(INT64)),
    (5, Of(BINARY)),
    (6, Of(BINARY)),
    (7, Boolean),
    (8, Boolean),
    (9, Of(INT64)),
];

/// `KeyValue`.
const PAIR: &[(i64, Shape)] = &[(1, Of(BINARY)), (2, Of(BINARY))];

/// `ColumnOrder`.
const ORDER: &[(i64, Shape)] = &[(1, Struct(&[])), (2, Struct(&[])), (3, Struct(&[]))];
