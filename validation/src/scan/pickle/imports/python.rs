//! What any pickle may import of Python itself. Read in CPython 3.14.

use super::Allowed;

pub(super) const ALLOWED: &[Allowed] = &[
    Allowed::new(
        &["builtins"],
        &[
            "abs",
            "bool",
            "bytearray",
            "bytes",
            "chr",
            "complex",
            "divmod",
            "float",
            "frozenset",
            "int",
            "len",
            "ord",
            "range",
            "round",
            "set",
            "slice",
        ],
        "it makes a value out of values; the most it costs is memory",
    ),
    // Called with an array whose dtype lies about its fields these would look into it.
    Allowed::named(
        &["builtins"],
        &["dict", "list", "object", "str", "tuple"],
        "a type, as an argument or a default; picklers do not call it",
    ),
    Allowed::new(&["builtins"], &["Ellipsis", "NotImplemented"], "a constant"),
    Allowed::new(
        &["_codecs"],
        &["encode"],
        "bytes out of text by a codec of `encodings`, whose name must not hold a dot",
    ),
    Allowed::new(&["argparse"], &["Namespace"], "it stores its arguments as attributes of its own"),
    Allowed::new(
        &["array"],
        &["_array_reconstructor", "array"],
        "numbers out of bytes, of a type and length that are checked",
    ),
    Allowed::new(
        &["collections"],
        &["Counter", "OrderedDict", "defaultdict", "deque"],
        "a container; what `defaultdict` is given to call is called at the first missing key and must be allowed itself",
    ),
    Allowed::new(
        &["copyreg"],
        &["__newobj__", "_reconstructor"],
        "an object of a class that must be allowed itself, by its `__new__` and `__init__`",
    ),
    Allowed::new(
        &["datetime"],
        &["date", "datetime", "time", "timedelta", "timezone"],
        "a point in time out of checked bytes or numbers",
    ),
    Allowed::new(&["decimal"], &["Decimal"], "a number out of text or digits"),
    Allowed::new(&["fractions"], &["Fraction"], "a number out of numbers or text"),
    Allowed::new(&["_io", "io"], &["BytesIO", "StringIO"], "a file in memory"),
    Allowed::new(
        &["pathlib", "pathlib._local"],
        &["Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath", "WindowsPath"],
        "a path, which is not looked up until it is used",
    ),
    Allowed::new(&["types"], &["SimpleNamespace"], "it stores its arguments as attributes of its own"),
    Allowed::new(&["uuid"], &["UUID"], "a number out of text or bytes"),
];
