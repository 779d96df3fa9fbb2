//! Numbers as people read them.

/// Three digits, without zeros at the end.
pub(crate) fn short(number: f64) -> String {
    if number == 0.0 || !(1e-4..1e15).contains(&number.abs()) {
        return if number == 0.0 { "0".to_owned() } else { format!("{number:.2e}") };
    }
    let unit = 10_f64.powi((2 - number.abs().log10().floor() as i32).max(0));
    ((number * unit).round() / unit).to_string()
}

pub(crate) fn percent(share: f64) -> String {
    format!("{} %", short(100.0 * share))
}

/// Rounded up to two decimals: what is to be enough stays enough.
pub(crate) fn enough(number: f64) -> String {
    ((number * 100.0).ceil() / 100.0).to_string()
}
