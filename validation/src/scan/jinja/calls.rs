//! Filters, calls and slices: what they make of texts, and where they lead.

use minijinja::machinery::{
    Span,
    ast::{Call, CallArg, Expr, Filter, Slice},
};

use super::{folded::Folded, names::FUNCTIONS, reading::Reading};
use crate::scan::{Rule, Severity};

impl Reading {
    pub(super) fn slice(&mut self, slice: &Slice<'_>, span: Span) -> Folded {
        let of = self.expression(&slice.expr);
        let mut bound = |bound: &Option<Expr<'_>>| match bound.as_ref().map(|bound| self.expression(bound)) {
            None => Some(None),
            Some(Folded::Number(number)) => Some(Some(number)),
            Some(_) => None,
        };
        let folded = match (bound(&slice.start), bound(&slice.stop), bound(&slice.step)) {
            (Some(None), Some(None), Some(Some(-1))) => of.reversed(),
            (Some(start), Some(stop), Some(None | Some(1))) => of.part(start, stop),
            _ if of.is_text() => Folded::Computed,
            _ => Folded::Unknown,
        };
        self.folded(folded, span)
    }

    /// What the arguments come to, those by name behind the others.
    pub(super) fn arguments(&mut self, arguments: &[CallArg<'_>]) -> Vec<Folded> {
        let mut values = Vec::new();
        for argument in arguments {
            match argument {
                CallArg::Pos(value) => {
                    let value = self.expression(value);
                    values.push(value);
                }
                CallArg::Kwarg(name, value) => {
                    let folded = self.expression(value);
                    if *name == "attribute" {
                        self.key(&folded, value.span());
                    }
                    values.push(folded);
                }
                CallArg::PosSplat(value) | CallArg::KwargSplat(value) => {
                    self.expression(value);
                    values.push(Folded::Unknown);
                }
            }
        }
        values
    }

    pub(super) fn filter(&mut self, filter: &Filter<'_>, span: Span) -> Folded {
        let of = filter.expr.as_ref().map_or(Folded::Computed, |of| self.holder(of, span));
        let arguments = self.arguments(&filter.args);
        let argument = |index: usize| arguments.get(index).unwrap_or(&Folded::Unknown);
        match filter.name {
            "attr" | "getattr" => {
                self.report(
                    Rule::JinjaReflection,
                    Severity::High,
                    span,
                    format!("the filter {}", filter.name),
                );
                self.key(argument(0), span);
            }
            "map" if matches!(argument(0), Folded::Text(name) if name == "attr") => {
                self.report(Rule::JinjaReflection, Severity::High, span, "the filter attr, by way of map");
                self.key(argument(1), span);
            }
            "map" if *argument(0) == Folded::Computed => {
                let detail = "the name of a filter is computed";
                self.report(Rule::JinjaReflection, Severity::Medium, span, detail);
            }
            "selectattr" | "rejectattr" | "groupby" => self.key(argument(0), span),
            _ => {}
        }
        let nothing = Folded::Text(String::new());
        let folded = match filter.name {
            "join" => arguments.first().unwrap_or(&nothing).join(&of),
            "format" => of.printf(&arguments),
            name => changed(name, &of, &arguments),
        };
        self.folded(folded, span)
    }

    fn function(&mut self, name: &str, span: Span) {
        if FUNCTIONS.contains(&name) {
            self.report(Rule::JinjaReflection, Severity::High, span, format!("a call of {name}"));
        }
    }

    pub(super) fn call(&mut self, call: &Call<'_>, span: Span) -> Folded {
        let arguments = |reading: &mut Self| reading.arguments(&call.args);
        let folded = match &call.expr {
            Expr::Var(var) => {
                let values = arguments(self);
                self.text(var.id, Severity::Critical, span);
                self.function(var.id, span);
                match (var.id, values.first()) {
                    ("chr", Some(number)) => number.chr().map_or(Folded::Computed, Folded::Text),
                    ("chr", None) => Folded::Computed,
                    _ => Folded::Unknown,
                }
            }
            Expr::GetAttr(attr) => {
                let of = self.holder(&attr.expr, span);
                self.name(attr.name, span);
                self.function(attr.name, span);
                let values = arguments(self);
                match (attr.name, values.first()) {
                    ("format", _) => {
                        if !matches!(of, Folded::Text(_)) {
                            let detail = "a format that is no constant";
                            self.report(Rule::JinjaReflection, Severity::Medium, span, detail);
                        }
                        of.format(&values)
                    }
                    ("join", Some(items)) => of.join(items),
                    (name, _) => changed(name, &of, &values),
                }
            }
            other => {
                self.expression(other);
                arguments(self);
                Folded::Unknown
            }
        };
        self.folded(folded, span)
    }
}

/// What a filter or method that changes a text makes of it.
fn changed(name: &str, of: &Folded, arguments: &[Folded]) -> Folded {
    match (name, arguments) {
        ("replace", [from, to, ..]) => of.replace(from, to),
        ("reverse", _) => of.reversed(),
        ("lower", _) => of.changed(str::to_lowercase),
        ("upper", _) => of.changed(str::to_uppercase),
        ("trim" | "strip", []) => of.changed(|text| text.trim().to_owned()),
        ("string" | "safe" | "list", _) => of.clone(),
        ("first", _) => of.element(&Folded::Number(0)),
        ("last", _) => of.element(&Folded::Number(-1)),
        // What is left of a text when one asks about it is no text.
        ("length" | "count" | "startswith" | "endswith" | "find" | "isdigit" | "split", _) => Folded::Unknown,
        _ if of.is_text() => Folded::Computed,
        _ => Folded::Unknown,
    }
}
