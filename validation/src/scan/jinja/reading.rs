//! A template, read from its first statement to its last.

use std::collections::{BTreeSet, HashMap};

use minijinja::{
    machinery::{
        Span,
        ast::{BinOpKind, Expr, Macro, Stmt, UnaryOpKind},
        parse,
    },
    value::{Value, ValueKind},
};

use super::{
    folded::Folded,
    names::{ATTRIBUTES, FRAMEWORK, GLOBALS},
    source,
};
use crate::scan::{Rule, Severity};

/// Findings of one template that are kept.
const REPORTED: usize = 50;
/// Something found in a template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    pub(super) offset: u64,
    pub(super) rule: Rule,
    pub(super) severity: Severity,
    pub(super) detail: String,
}

/// A template under way.
#[derive(Debug, Default)]
pub(super) struct Reading {
    found: BTreeSet<Found>,
    variables: HashMap<String, Folded>,
}

impl Reading {
    /// What there is to say of a template; an error if it is none that this parser knows.
    pub(super) fn of(text: &str) -> Result<BTreeSet<Found>, String> {
        source::is_bounded(text)?;
        let tree = parse(text, "template", Default::default()).map_err(|error| error.to_string())?;
        let mut reading = Self::default();
        reading.statement(&tree);
        Ok(reading.found)
    }

    pub(super) fn report(&mut self, rule: Rule, severity: Severity, span: Span, detail: impl Into<String>) {
        if self.found.len() < REPORTED {
            let offset = u64::from(span.start_offset);
            self.found.insert(Found { offset, rule, severity, detail: detail.into() });
        }
    }

    fn body(&mut self, statements: &[Stmt<'_>]) {
        statements.iter().for_each(|statement| self.statement(statement));
    }

    fn statement(&mut self, statement: &Stmt<'_>) {
        match statement {
            Stmt::Template(template) => self.body(&template.children),
            Stmt::EmitExpr(emitted) => {
                self.expression(&emitted.expr);
            }
            Stmt::EmitRaw(_) | Stmt::Continue(_) | Stmt::Break(_) => {}
            Stmt::ForLoop(each) => {
                self.expression(&each.iter);
                self.assign(&each.target, Folded::Unknown);
                each.filter_expr.iter().for_each(|filter| drop(self.expression(filter)));
                self.body(&each.body);
                self.body(&each.else_body);
            }
            Stmt::IfCond(condition) => {
                self.expression(&condition.expr);
                self.body(&condition.true_body);
                self.body(&condition.false_body);
            }
            Stmt::WithBlock(with) => {
                for (target, value) in &with.assignments {
                    let value = self.expression(value);
                    self.assign(target, value);
                }
                self.body(&with.body);
            }
            Stmt::Set(set) => {
                let value = self.expression(&set.expr);
                self.assign(&set.target, value);
            }
            Stmt::SetBlock(set) => {
                set.filter.iter().for_each(|filter| drop(self.expression(filter)));
                self.body(&set.body);
                self.assign(&set.target, Folded::Computed);
            }
            Stmt::AutoEscape(escape) => {
                self.expression(&escape.enabled);
                self.body(&escape.body);
            }
            Stmt::FilterBlock(filter) => {
                self.expression(&filter.filter);
                self.body(&filter.body);
            }
            Stmt::Block(block) => self.body(&block.body),
            Stmt::Import(import) => self.other(&import.expr, import.span()),
            Stmt::FromImport(import) => self.other(&import.expr, import.span()),
            Stmt::Extends(extends) => self.other(&extends.name, extends.span()),
            Stmt::Include(include) => self.other(&include.name, include.span()),
            Stmt::Macro(declared) => self.declared(declared),
            Stmt::CallBlock(block) => {
                self.call(&block.call, block.call.span());
                self.declared(&block.macro_decl);
            }
            Stmt::Do(called) => {
                self.call(&called.call, called.call.span());
            }
        }
    }

    fn declared(&mut self, declared: &Macro<'_>) {
        declared.args.iter().for_each(|target| self.assign(target, Folded::Unknown));
        declared.defaults.iter().for_each(|default| drop(self.expression(default)));
        self.body(&declared.body);
    }

    /// A template that is taken from elsewhere.
    fn other(&mut self, name: &Expr<'_>, span: Span) {
        self.expression(name);
        self.report(Rule::JinjaReflection, Severity::Medium, span, "it loads another template");
    }

    fn assign(&mut self, target: &Expr<'_>, value: Folded) {
        match target {
            Expr::Var(var) => self.set(var.id.to_owned(), value),
            Expr::GetAttr(attr) => {
                self.name(attr.name, target.span());
                if let Expr::Var(var) = &attr.expr {
                    self.set(format!("{}.{}", var.id, attr.name), value);
                }
            }
            Expr::List(list) => list.items.iter().for_each(|item| self.assign(item, Folded::Unknown)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.assign(item, Folded::Unknown)),
            other => drop(self.expression(other)),
        }
    }

    /// Of a variable that is set twice only that is kept which holds for both.
    fn set(&mut self, name: String, value: Folded) {
        let value = match self.variables.get(&name) {
            Some(Folded::Computed) => Folded::Computed,
            Some(before) if *before != value && value != Folded::Computed => Folded::Unknown,
            _ => value,
        };
        self.variables.insert(name, value);
    }

    pub(super) fn expression(&mut self, expression: &Expr<'_>) -> Folded {
        let span = expression.span();
        match expression {
            Expr::Var(var) => self.variable(var.id, span),
            Expr::Const(constant) => self.constant(&constant.value, span),
            Expr::Slice(slice) => self.slice(slice, span),
            Expr::UnaryOp(unary) => match (&unary.op, self.expression(&unary.expr)) {
                (UnaryOpKind::Neg, Folded::Number(number)) => {
                    number.checked_neg().map_or(Folded::Unknown, Folded::Number)
                }
                _ => Folded::Unknown,
            },
            Expr::BinOp(op) => {
                let (left, right) = (self.expression(&op.left), self.expression(&op.right));
                let folded = match op.op {
                    BinOpKind::Concat => left.concat(&right),
                    BinOpKind::Add => left.add(&right),
                    BinOpKind::Mul => left.times(&right),
                    BinOpKind::Rem if left.is_text() => match right {
                        Folded::List(values) => left.printf(&values),
                        value => left.printf(&[value]),
                    },
                    BinOpKind::Sub => match (left, right) {
                        (Folded::Number(left), Folded::Number(right)) => {
                            left.checked_sub(right).map_or(Folded::Unknown, Folded::Number)
                        }
                        _ => Folded::Unknown,
                    },
                    _ => Folded::Unknown,
                };
                self.folded(folded, span)
            }
            Expr::Compare(compare) => {
                self.expression(&compare.expr);
                compare.ops.iter().for_each(|op| drop(self.expression(&op.expr)));
                Folded::Unknown
            }
            Expr::IfExpr(choice) => {
                self.expression(&choice.test_expr);
                self.expression(&choice.true_expr);
                choice.false_expr.iter().for_each(|other| drop(self.expression(other)));
                Folded::Unknown
            }
            Expr::Filter(filter) => self.filter(filter, span),
            Expr::Test(test) => {
                self.expression(&test.expr);
                self.arguments(&test.args);
                Folded::Unknown
            }
            Expr::GetAttr(attr) => {
                self.holder(&attr.expr, span);
                self.name(attr.name, span);
                match &attr.expr {
                    Expr::Var(var) => {
                        let name = format!("{}.{}", var.id, attr.name);
                        self.variables.get(&name).cloned().unwrap_or(Folded::Unknown)
                    }
                    _ => Folded::Unknown,
                }
            }
            Expr::GetItem(item) => {
                let holder = self.holder(&item.expr, span);
                let key = self.expression(&item.subscript_expr);
                self.key(&key, span);
                holder.element(&key)
            }
            Expr::Call(call) => self.call(call, span),
            Expr::List(list) => {
                let items = list.items.iter().map(|item| self.expression(item)).collect();
                Folded::list(items)
            }
            Expr::Tuple(tuple) => {
                let items = tuple.items.iter().map(|item| self.expression(item)).collect();
                Folded::list(items)
            }
            Expr::Map(map) => {
                map.keys.iter().chain(&map.values).for_each(|entry| drop(self.expression(entry)));
                Folded::Unknown
            }
        }
    }

    fn variable(&mut self, name: &str, span: Span) -> Folded {
        self.text(name, Severity::Critical, span);
        if GLOBALS.contains(&name) {
            let detail = format!("{name}, which is there to be called, is used as a value");
            self.report(Rule::JinjaReflection, Severity::High, span, detail);
        }
        self.variables.get(name).cloned().unwrap_or(Folded::Unknown)
    }

    /// The left of a dot or bracket.
    pub(super) fn holder(&mut self, holder: &Expr<'_>, span: Span) -> Folded {
        if let Expr::Var(var) = holder
            && FRAMEWORK.contains(&var.id)
            && !self.variables.contains_key(var.id)
        {
            let detail = format!("{}, which web frameworks put into templates, is looked into", var.id);
            self.report(Rule::JinjaReflection, Severity::Medium, span, detail);
        }
        self.expression(holder)
    }

    fn constant(&mut self, value: &Value, span: Span) -> Folded {
        if let Some(text) = value.as_str() {
            self.text(text, Severity::High, span);
            if text.contains("\\U") || text.contains("\\N{") {
                let detail = "a character is written by its number or name";
                self.report(Rule::JinjaReflection, Severity::Medium, span, detail);
            }
            return Folded::Text(text.to_owned()).changed(ToOwned::to_owned);
        }
        match value.kind() {
            ValueKind::Number => i64::try_from(value.clone()).map_or(Folded::Unknown, Folded::Number),
            ValueKind::Seq => {
                let items = value.try_iter().into_iter().flatten();
                Folded::list(items.map(|item| self.constant(&item, span)).collect())
            }
            ValueKind::Map => {
                for key in value.try_iter().into_iter().flatten() {
                    self.constant(&key, span);
                    if let Ok(item) = value.get_item(&key) {
                        self.constant(&item, span);
                    }
                }
                Folded::Unknown
            }
            _ => Folded::Unknown,
        }
    }

    /// A text that was put together.
    pub(super) fn folded(&mut self, folded: Folded, span: Span) -> Folded {
        if let Folded::Text(text) = &folded {
            self.text(text, Severity::Critical, span);
        }
        folded
    }

    /// A text that may come to name an attribute.
    pub(super) fn text(&mut self, text: &str, severity: Severity, span: Span) {
        if let Some((_, name)) = source::dunder(text) {
            self.report(Rule::JinjaEscape, severity, span, name);
        } else if text.split("__").skip(1).any(|after| after.starts_with(|c: char| c.is_ascii_alphabetic()))
            || text.contains("__") && text.trim_matches('_').bytes().all(|b| b.is_ascii_alphanumeric())
        {
            let detail = format!("`{text}` may be a part of the name of something internal");
            self.report(Rule::JinjaReflection, Severity::Medium, span, detail);
        }
    }

    /// The name of an attribute.
    pub(super) fn name(&mut self, name: &str, span: Span) {
        self.text(name, Severity::Critical, span);
        if ATTRIBUTES.contains(&name) {
            self.report(Rule::JinjaReflection, Severity::High, span, format!("the attribute {name}"));
        }
    }

    /// What is in brackets.
    pub(super) fn key(&mut self, key: &Folded, span: Span) {
        match key {
            Folded::Text(text) => text.split('.').for_each(|name| self.name(name, span)),
            Folded::Computed => {
                let detail = "the name of an attribute is computed";
                self.report(Rule::JinjaReflection, Severity::Medium, span, detail);
            }
            _ => {}
        }
    }
}
