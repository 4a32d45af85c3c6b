//! From the text form of [`text`](super::text) to graphs.
//!
//! Types of results may be left out; those that are written must be the ones
//! that follow from the primitive. `%x: f32[2]` alone is the plain input "x".
//! Names of values are free; a graph that is printed again numbers them.

use std::collections::HashMap;

use super::dim::{Dim, DimError};
use super::graph::{Graph, OriginId, OutputRole, Role, Value};
use super::text_attr::{Parsed, ParsedKind, Written, kind_of};
use super::text_lex::{Position, Token, tokens};
use super::ty::{Elem, Type};
use super::verify::role_name;

pub use super::text_lex::TextError;

/// Regions and parentheses may be nested this deep.
const MAX_DEPTH: usize = 64;

/// Reads one graph.
///
/// # Errors
/// The first thing that is wrong: with the text, or with the types.
pub fn parse(text: &str) -> Result<Graph, TextError> {
    let mut parser = Parser::new(text)?;
    let graph = parser.graph()?;
    parser.end()?;
    Ok(graph)
}

/// Reads any number of graphs.
///
/// # Errors
/// As [`parse`].
pub fn parse_all(text: &str) -> Result<Vec<Graph>, TextError> {
    let mut parser = Parser::new(text)?;
    let mut graphs = Vec::new();
    while *parser.peek() != Token::End {
        graphs.push(parser.graph()?);
    }
    Ok(graphs)
}

/// Reads a size, such as `2*n + div(m, 3)`.
///
/// # Errors
/// As [`parse`].
pub fn parse_dim(text: &str) -> Result<Dim, TextError> {
    let mut parser = Parser::new(text)?;
    let dim = parser.dim()?;
    parser.end()?;
    Ok(dim)
}

const ROLES: [Role; 9] = [
    Role::Param,
    Role::State,
    Role::Slot,
    Role::Hyper,
    Role::Metric,
    Role::Step,
    Role::Data,
    Role::Fit,
    Role::Plain,
];

type Scope = HashMap<String, Value>;

struct Parser {
    tokens: Vec<(Token, Position)>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn new(text: &str) -> Result<Parser, TextError> {
        Ok(Parser {
            tokens: tokens(text)?,
            next: 0,
            depth: 0,
        })
    }

    fn graph(&mut self) -> Result<Graph, TextError> {
        self.nested(Parser::graph_inner)
    }

    fn graph_inner(&mut self) -> Result<Graph, TextError> {
        self.keyword("graph")?;
        let name = match self.advance() {
            (Token::Word(name) | Token::Text(name), _) => name,
            (found, at) => return Err(expected("a graph's name", &found, at)),
        };
        let mut graph = Graph::new(&name);
        let mut scope = Scope::new();
        self.mark('(')?;
        self.list(')', |p| p.input(&mut graph, &mut scope))?;
        self.mark('{')?;
        while !self.accept('}') {
            match self.peek() {
                Token::Value(_) => self.node(&mut graph, &mut scope)?,
                _ => self.output(&mut graph, &scope)?,
            }
        }
        Ok(graph)
    }

    fn input(&mut self, graph: &mut Graph, scope: &mut Scope) -> Result<(), TextError> {
        let (name, at) = self.value_name()?;
        self.mark(':')?;
        let ty = self.ty()?;
        let (role, input) = if self.accept('=') {
            let (word, at) = self.word("a role")?;
            let Some(role) = ROLES.into_iter().find(|r| role_name(r) == word) else {
                return Err(at.error(format!("there is no role `{word}`")));
            };
            (role, self.text()?.0)
        } else {
            (Role::Plain, name.clone())
        };
        let value = graph.input(&input, role, ty);
        define(scope, name, value, at)
    }

    fn output(&mut self, graph: &mut Graph, scope: &Scope) -> Result<(), TextError> {
        let (keyword, at) = self.word("a node, `update`, `result` or `}`")?;
        let (name, name_at) = self.text()?;
        let role = match keyword.as_str() {
            "result" => OutputRole::Result,
            "update" => match graph.inputs.iter().position(|i| *i.name == *name) {
                Some(index) => OutputRole::Update(index),
                None => return Err(name_at.error(format!("there is no input `{name}`"))),
            },
            _ => return Err(at.error(format!("expected `update` or `result`, found `{keyword}`"))),
        };
        self.mark('=')?;
        let value = self.value(scope)?;
        graph.output(&name, role, value);
        Ok(())
    }

    fn node(&mut self, graph: &mut Graph, scope: &mut Scope) -> Result<(), TextError> {
        let mut names = Vec::new();
        loop {
            let (name, at) = self.value_name()?;
            let ty = if self.accept(':') {
                let ty_at = self.at();
                Some((self.ty()?, ty_at))
            } else {
                None
            };
            names.push((name, at, ty));
            if !self.accept(',') {
                break;
            }
        }
        self.mark('=')?;
        let (name, at) = self.word("a primitive")?;
        let mut args = Vec::new();
        // Arguments start on the line of the primitive, so that what follows a node without any is no argument.
        if matches!(self.peek(), Token::Value(_)) && self.at().line == at.line {
            args.push(self.value(scope)?);
            while self.accept(',') {
                args.push(self.value(scope)?);
            }
        }
        let attributes = self.attributes()?;
        let body = match self.peek() {
            Token::Word(word) if word == "graph" => Some(self.graph()?),
            _ => None,
        };
        let written = Written {
            name,
            at,
            attributes,
            body,
        };
        let prim_name = written.name.clone();
        let prim = written.prim()?;
        let results = graph
            .push(prim, &args, OriginId::default())
            .map_err(|e| at.error(format!("{prim_name}: {e}")))?;
        if results.len() != names.len() {
            let (gives, named) = (results.len(), names.len());
            let message =
                format!("{prim_name}: the number of results is {gives}, of names {named}");
            return Err(at.error(message));
        }
        for ((name, at, written), value) in names.into_iter().zip(results) {
            if let Some((ty, ty_at)) = written
                && ty != *graph.ty(value)
            {
                let found = graph.ty(value);
                return Err(ty_at.error(format!("{prim_name} returns {found}, not {ty}")));
            }
            define(scope, name, value, at)?;
        }
        Ok(())
    }

    fn attributes(&mut self) -> Result<Vec<(String, Position, Parsed)>, TextError> {
        let mut attributes: Vec<(String, Position, Parsed)> = Vec::new();
        while let Token::Word(key) = self.peek().clone()
            && self.tokens[self.next + 1].0 == Token::Mark('=')
        {
            let at = self.at();
            let Some(kind) = kind_of(&key) else {
                return Err(at.error(format!("there is no attribute `{key}`")));
            };
            if attributes.iter().any(|(k, ..)| *k == key) {
                return Err(at.error(format!("`{key}` is given twice")));
            }
            self.next += 2;
            attributes.push((key, at, self.attribute(kind)?));
        }
        Ok(attributes)
    }

    fn attribute(&mut self, kind: ParsedKind) -> Result<Parsed, TextError> {
        Ok(match kind {
            ParsedKind::Number => Parsed::Number(self.number()?),
            ParsedKind::Elem => Parsed::Elem(self.elem()?),
            ParsedKind::Text => Parsed::Text(self.text()?.0),
            ParsedKind::Dim => Parsed::Dim(self.dim()?),
            ParsedKind::Dims => Parsed::Dims(self.dims()?),
            ParsedKind::Count => Parsed::Count(self.count()?),
            ParsedKind::Counts => {
                let mut counts = Vec::new();
                self.mark('[')?;
                self.list(']', |p| p.count().map(|c| counts.push(c)))?;
                Parsed::Counts(counts)
            }
            ParsedKind::Pairs => {
                let mut pairs = Vec::new();
                self.mark('[')?;
                self.list(']', |p| {
                    let left = p.count()?;
                    p.mark(':')?;
                    pairs.push((left, p.count()?));
                    Ok(())
                })?;
                Parsed::Pairs(pairs)
            }
            ParsedKind::Flag => match self.word("`true` or `false`")? {
                (word, _) if word == "true" => Parsed::Flag(true),
                (word, _) if word == "false" => Parsed::Flag(false),
                (word, at) => return Err(expected("`true` or `false`", &Token::Word(word), at)),
            },
        })
    }

    fn ty(&mut self) -> Result<Type, TextError> {
        let elem = self.elem()?;
        Ok(Type::new(elem, self.dims()?))
    }

    fn elem(&mut self) -> Result<Elem, TextError> {
        let (word, at) = self.word("an element type")?;
        let elem = Elem::ALL.into_iter().find(|e| e.name() == word);
        elem.ok_or_else(|| at.error(format!("there is no element type `{word}`")))
    }

    fn dims(&mut self) -> Result<Vec<Dim>, TextError> {
        let mut dims = Vec::new();
        self.mark('[')?;
        self.list(']', |p| p.dim().map(|d| dims.push(d)))?;
        Ok(dims)
    }

    /// A sum of signed terms.
    fn dim(&mut self) -> Result<Dim, TextError> {
        let at = self.at();
        let negative = self.accept('-');
        let mut sum = self.term(negative)?;
        loop {
            let negative = match self.peek() {
                Token::Mark('+') => false,
                Token::Mark('-') => true,
                _ => return Ok(sum),
            };
            self.next += 1;
            let term = self.term(negative)?;
            sum = sum.add(&term).map_err(|e| in_dim(e, at))?;
        }
    }

    /// A product. The sign belongs to the first number, so that the lowest i64 can be written.
    fn term(&mut self, negative: bool) -> Result<Dim, TextError> {
        let sign = if negative { -1 } else { 1 };
        let at = self.at();
        let mut product = match self.peek() {
            Token::Number(_) => Dim::Const(self.integer(sign)?),
            _ => {
                let factor = self.factor()?;
                Dim::Const(sign.into())
                    .mul(&factor)
                    .map_err(|e| in_dim(e, at))?
            }
        };
        while self.accept('*') {
            let factor = self.factor()?;
            product = product.mul(&factor).map_err(|e| in_dim(e, at))?;
        }
        Ok(product)
    }

    fn factor(&mut self) -> Result<Dim, TextError> {
        self.nested(Parser::factor_inner)
    }

    fn factor_inner(&mut self) -> Result<Dim, TextError> {
        if matches!(self.peek(), Token::Number(_)) {
            return self.integer(1).map(Dim::Const);
        }
        if self.accept('(') {
            let dim = self.dim()?;
            self.mark(')')?;
            return Ok(dim);
        }
        let (word, at) = self.word("a size")?;
        if !self.accept('(') {
            return Ok(Dim::symbol(&word));
        }
        let a = self.dim()?;
        self.mark(',')?;
        let b = self.dim()?;
        self.mark(')')?;
        match word.as_str() {
            "div" => a.div(&b).map_err(|e| in_dim(e, at)),
            "rem" => a.rem(&b).map_err(|e| in_dim(e, at)),
            "max" => Ok(a.max_with(&b)),
            "min" => Ok(a.min_with(&b)),
            _ => Err(at.error(format!("there is no function `{word}` of sizes"))),
        }
    }

    fn integer(&mut self, sign: i32) -> Result<i64, TextError> {
        match self.advance() {
            (Token::Number(digits), at) => {
                let value = digits.parse::<i128>().ok().map(|v| v * i128::from(sign));
                let value = value.and_then(|v| i64::try_from(v).ok());
                value.ok_or_else(|| at.error(format!("`{digits}` is not a 64-bit integer")))
            }
            (found, at) => Err(expected("an integer", &found, at)),
        }
    }

    fn count(&mut self) -> Result<usize, TextError> {
        let at = self.at();
        let value = self.integer(1)?;
        usize::try_from(value).map_err(|_| at.error(format!("{value} is too large")))
    }

    fn number(&mut self) -> Result<f64, TextError> {
        let sign = if self.accept('-') { -1.0 } else { 1.0 };
        match self.advance() {
            (Token::Number(text) | Token::Word(text), at) => {
                let value = text.parse::<f64>();
                value
                    .map(|v| sign * v)
                    .map_err(|_| at.error(format!("`{text}` is not a number")))
            }
            (found, at) => Err(expected("a number", &found, at)),
        }
    }

    fn value(&mut self, scope: &Scope) -> Result<Value, TextError> {
        let (name, at) = self.value_name()?;
        let value = scope.get(&name).copied();
        value.ok_or_else(|| at.error(format!("`%{name}` is not defined")))
    }

    fn value_name(&mut self) -> Result<(String, Position), TextError> {
        match self.advance() {
            (Token::Value(name), at) => Ok((name, at)),
            (found, at) => Err(expected("a value, `%name`", &found, at)),
        }
    }

    fn word(&mut self, what: &str) -> Result<(String, Position), TextError> {
        match self.advance() {
            (Token::Word(word), at) => Ok((word, at)),
            (found, at) => Err(expected(what, &found, at)),
        }
    }

    fn text(&mut self) -> Result<(String, Position), TextError> {
        match self.advance() {
            (Token::Text(text), at) => Ok((text, at)),
            (found, at) => Err(expected("a name in quotes", &found, at)),
        }
    }

    fn keyword(&mut self, keyword: &str) -> Result<(), TextError> {
        match self.advance() {
            (Token::Word(word), _) if word == keyword => Ok(()),
            (found, at) => Err(expected(&format!("`{keyword}`"), &found, at)),
        }
    }

    fn mark(&mut self, mark: char) -> Result<(), TextError> {
        match self.advance() {
            (Token::Mark(c), _) if c == mark => Ok(()),
            (found, at) => Err(expected(&format!("`{mark}`"), &found, at)),
        }
    }

    fn end(&mut self) -> Result<(), TextError> {
        match self.advance() {
            (Token::End, _) => Ok(()),
            (found, at) => Err(expected("the end", &found, at)),
        }
    }

    /// Items between commas up to `close`, which is taken; a last comma is allowed.
    fn list(
        &mut self,
        close: char,
        mut item: impl FnMut(&mut Parser) -> Result<(), TextError>,
    ) -> Result<(), TextError> {
        while !self.accept(close) {
            item(self)?;
            if !self.accept(',') {
                return self.mark(close);
            }
        }
        Ok(())
    }

    fn nested<T>(
        &mut self,
        inner: impl FnOnce(&mut Parser) -> Result<T, TextError>,
    ) -> Result<T, TextError> {
        if self.depth == MAX_DEPTH {
            return Err(self.at().error("nested too deeply"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.next].0
    }

    fn at(&self) -> Position {
        self.tokens[self.next].1
    }

    /// The end is never passed.
    fn advance(&mut self) -> (Token, Position) {
        let token = self.tokens[self.next].clone();
        if token.0 != Token::End {
            self.next += 1;
        }
        token
    }

    fn accept(&mut self, mark: char) -> bool {
        let found = *self.peek() == Token::Mark(mark);
        self.next += usize::from(found);
        found
    }
}

fn define(scope: &mut Scope, name: String, value: Value, at: Position) -> Result<(), TextError> {
    if scope.contains_key(&name) {
        return Err(at.error(format!("`%{name}` is already defined")));
    }
    scope.insert(name, value);
    Ok(())
}

fn expected(what: &str, found: &Token, at: Position) -> TextError {
    at.error(format!("expected {what}, found {found}"))
}

fn in_dim(error: DimError, at: Position) -> TextError {
    at.error(error.to_string())
}
