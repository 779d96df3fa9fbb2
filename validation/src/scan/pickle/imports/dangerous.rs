//! Imports that are known for what attackers do with them. The list only tells the sure from the
//! unreviewed: what is on no list fails as well.

const COMMANDS: &str = "it runs commands or starts programs";
const CODE: &str = "it runs code that the file brings";
const ATTRIBUTES: &str = "it reaches any attribute or module by name";
const FILES: &str = "it reads, writes or removes files";
const LOADS: &str = "it loads another pickle or model";
const NETWORK: &str = "it talks to the network";
const NATIVE: &str = "it loads or calls native code";

/// Modules of which nothing is harmless; their submodules included.
const MODULES: &[(&str, &str)] = &[
    ("_aix_support", COMMANDS),
    ("_io", FILES),
    ("_osx_support", COMMANDS),
    ("_pickle", LOADS),
    ("_posixsubprocess", COMMANDS),
    ("_pyrepl", COMMANDS),
    ("_winapi", COMMANDS),
    ("aiohttp", NETWORK),
    ("asyncio", COMMANDS),
    ("bdb", CODE),
    ("cProfile", CODE),
    ("cffi", NATIVE),
    ("cgitb", COMMANDS),
    ("cloudpickle", LOADS),
    ("code", CODE),
    ("codeop", CODE),
    ("concurrent.futures", CODE),
    ("ctypes", NATIVE),
    ("dill", LOADS),
    ("distutils", COMMANDS),
    ("doctest", CODE),
    ("ensurepip", COMMANDS),
    ("ftplib", NETWORK),
    ("glob", FILES),
    ("http", NETWORK),
    ("httplib", NETWORK),
    ("idlelib", COMMANDS),
    ("imaplib", COMMANDS),
    ("imp", CODE),
    ("importlib", ATTRIBUTES),
    ("io", FILES),
    ("lib2to3", CODE),
    ("linecache", FILES),
    ("logging.config", CODE),
    ("marshal", CODE),
    ("mimetypes", FILES),
    ("multiprocessing", COMMANDS),
    ("nt", COMMANDS),
    ("ntpath", FILES),
    ("os", COMMANDS),
    ("pdb", CODE),
    ("pickle", LOADS),
    ("pickletools", LOADS),
    ("pip", COMMANDS),
    ("pkgutil", ATTRIBUTES),
    ("platform", COMMANDS),
    ("poplib", NETWORK),
    ("popen2", COMMANDS),
    ("posix", COMMANDS),
    ("posixpath", FILES),
    ("profile", CODE),
    ("pstats", CODE),
    ("pty", COMMANDS),
    ("pydoc", COMMANDS),
    ("requests", NETWORK),
    ("rlcompleter", ATTRIBUTES),
    ("runpy", CODE),
    ("shelve", LOADS),
    ("shutil", FILES),
    ("smtplib", NETWORK),
    ("socket", NETWORK),
    ("socketserver", NETWORK),
    ("sqlite3", FILES),
    ("ssl", NETWORK),
    ("subprocess", COMMANDS),
    ("sys", ATTRIBUTES),
    ("tempfile", FILES),
    ("test.support", COMMANDS),
    ("threading", CODE),
    ("timeit", CODE),
    ("trace", CODE),
    ("unittest.mock", ATTRIBUTES),
    ("urllib", NETWORK),
    ("urllib2", NETWORK),
    ("uuid", COMMANDS),
    ("venv", COMMANDS),
    ("webbrowser", COMMANDS),
    ("xmlrpc", NETWORK),
    ("zipimport", CODE),
    ("torch.hub", LOADS),
    ("torch.jit", LOADS),
    ("torch.package", LOADS),
    ("torch.utils", CODE),
    ("torch._dynamo", CODE),
    ("torch._inductor", COMMANDS),
    ("torch.fx", CODE),
    ("numpy.f2py", COMMANDS),
    ("numpy.distutils", COMMANDS),
    ("numpy.testing", CODE),
    ("numpy.ctypeslib", NATIVE),
    ("scipy.stats._distn_infrastructure", CODE),
    ("scipy.stats._continuous_distns", CODE),
    ("scipy.stats._discrete_distns", CODE),
];

/// Single names.
const NAMES: &[(&str, &[&str], &str)] = &[
    (
        "builtins",
        &["eval", "exec", "compile", "execfile", "breakpoint", "input", "help", "exit", "quit"],
        CODE,
    ),
    (
        "builtins",
        &["__import__", "getattr", "setattr", "delattr", "globals", "locals", "vars", "reload"],
        ATTRIBUTES,
    ),
    ("builtins", &["open", "file"], FILES),
    ("builtins", &["apply", "map", "filter", "sorted", "min", "max", "reduce", "type", "classmethod"], CODE),
    ("codecs", &["open"], FILES),
    ("functools", &["partial", "partialmethod", "reduce", "singledispatch"], CODE),
    ("itertools", &["accumulate", "starmap", "filterfalse"], CODE),
    ("joblib", &["load", "Memory"], LOADS),
    ("joblib.numpy_pickle", &["load", "NDArrayWrapper"], LOADS),
    ("numpy", &["load", "loads", "fromfile", "memmap", "genfromtxt", "loadtxt"], LOADS),
    ("numpy.core", &["_ufunc_reconstruct"], ATTRIBUTES),
    ("numpy._core", &["_ufunc_reconstruct"], ATTRIBUTES),
    ("operator", &["attrgetter", "call", "itemgetter", "methodcaller"], ATTRIBUTES),
    ("_operator", &["attrgetter", "call", "itemgetter", "methodcaller"], ATTRIBUTES),
    ("pandas", &["eval", "read_pickle"], CODE),
    ("torch", &["load", "compile"], LOADS),
    ("torch.serialization", &["load"], LOADS),
    ("types", &["CodeType", "FunctionType", "LambdaType", "MethodType", "new_class"], CODE),
];

/// What an attacker does with it; `None` if nothing is known.
pub(super) fn why(module: &str, name: &str) -> Option<&'static str> {
    let single = NAMES.iter().find(|(of, names, _)| *of == module && names.contains(&name));
    if let Some((_, _, why)) = single {
        return Some(why);
    }
    let harmless = matches!((module, name), ("uuid", "UUID") | ("io" | "_io", "BytesIO" | "StringIO"));
    let whole = MODULES
        .iter()
        .find(|(of, _)| module.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')));
    whole.filter(|_| !harmless).map(|(_, why)| *why)
}
