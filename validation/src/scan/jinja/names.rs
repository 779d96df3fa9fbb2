//! Names that lead out of a template.

/// What Jinja and web frameworks put into every template, and what leads from there to Python's modules.
pub(super) const GLOBALS: [&str; 9] =
    ["cycler", "dict", "get_flashed_messages", "joiner", "lipsum", "namespace", "range", "self", "url_for"];
/// What web frameworks put into templates, under names that a program may also give its own variables.
pub(super) const FRAMEWORK: [&str; 7] =
    ["app", "config", "current_app", "g", "handler", "request", "session"];
/// Attributes that no text, list or mapping of a chat has, and that lead on to code.
pub(super) const ATTRIBUTES: [&str; 22] = [
    "ag_frame",
    "builtins",
    "co_code",
    "cr_frame",
    "f_back",
    "f_builtins",
    "f_globals",
    "f_locals",
    "format_map",
    "func_code",
    "func_globals",
    "gi_code",
    "gi_frame",
    "im_func",
    "import_module",
    "load_module",
    "modules",
    "mro",
    "popen",
    "subclasses",
    "subprocess",
    "tb_frame",
];
/// Functions that no environment for templates should have.
pub(super) const FUNCTIONS: [&str; 12] = [
    "breakpoint",
    "compile",
    "eval",
    "exec",
    "getattr",
    "globals",
    "import_module",
    "open",
    "popen",
    "setattr",
    "system",
    "vars",
];
