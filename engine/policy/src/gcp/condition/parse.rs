//! From an expression's words to what it says

use super::token::{Token, tokens};
use super::value::Value;
use super::{Comparison, Expression};

/// Deeper ones are not read: their answer is unknown.
const DEPTH_MAX: usize = 24;

pub(super) fn parse(text: &str) -> Option<Expression> {
    let tokens = tokens(text)?;
    let mut parser = Parser { left: &tokens };
    let expression = parser.any(DEPTH_MAX)?;
    parser.left.is_empty().then_some(expression)
}

struct Parser<'t, 'a> {
    left: &'t [Token<'a>],
}

impl<'t, 'a> Parser<'t, 'a> {
    fn next(&mut self) -> Option<&'t Token<'a>> {
        let (first, rest) = self.left.split_first()?;
        self.left = rest;
        Some(first)
    }

    fn sign(&mut self, wanted: &str) -> bool {
        match self.left.split_first() {
            Some((Token::Sign(sign), rest)) if *sign == wanted => {
                self.left = rest;
                true
            }
            _ => false,
        }
    }

    fn any(&mut self, depth: usize) -> Option<Expression> {
        let mut parts = vec![self.all(depth)?];
        while self.sign("||") {
            parts.push(self.all(depth)?);
        }
        Some(if parts.len() == 1 { parts.pop()? } else { Expression::Any(parts) })
    }

    fn all(&mut self, depth: usize) -> Option<Expression> {
        let mut parts = vec![self.relation(depth)?];
        while self.sign("&&") {
            parts.push(self.relation(depth)?);
        }
        Some(if parts.len() == 1 { parts.pop()? } else { Expression::All(parts) })
    }

    fn relation(&mut self, depth: usize) -> Option<Expression> {
        let left = self.unary(depth)?;
        let how = match self.left.first() {
            Some(Token::Sign("==")) => Comparison::Equal,
            Some(Token::Sign("!=")) => Comparison::NotEqual,
            Some(Token::Sign("<")) => Comparison::Less,
            Some(Token::Sign("<=")) => Comparison::LessOrEqual,
            Some(Token::Sign(">")) => Comparison::Greater,
            Some(Token::Sign(">=")) => Comparison::GreaterOrEqual,
            Some(Token::Name("in")) => Comparison::In,
            _ => return Some(left),
        };
        self.next()?;
        let right = self.unary(depth)?;
        Some(Expression::Compare { left: Box::new(left), how, right: Box::new(right) })
    }

    fn unary(&mut self, depth: usize) -> Option<Expression> {
        let depth = depth.checked_sub(1)?;
        if self.sign("!") {
            return Some(Expression::Not(Box::new(self.unary(depth)?)));
        }
        if self.sign("-") {
            let Token::Number(number) = self.next()? else { return None };
            return Some(Expression::Value(Value::Number(number.checked_neg()?)));
        }
        let mut found = self.primary(depth)?;
        // Each step of a long chain is one level deep when it is evaluated.
        for _ in 0..DEPTH_MAX {
            if !self.sign(".") {
                return Some(found);
            }
            let Token::Name(name) = self.next()? else { return None };
            found = if self.sign("(") {
                let arguments = self.list(")", depth)?;
                Expression::Call { on: Some(Box::new(found)), name: (*name).to_owned(), arguments }
            } else {
                match found {
                    Expression::Path(path) => Expression::Path(format!("{path}.{name}")),
                    _ => return None,
                }
            };
        }
        None
    }

    fn primary(&mut self, depth: usize) -> Option<Expression> {
        match self.next()? {
            Token::Text(text) => Some(Expression::Value(Value::Text(text.clone()))),
            Token::Number(number) => Some(Expression::Value(Value::Number(*number))),
            Token::Name("true") => Some(Expression::Value(Value::Bool(true))),
            Token::Name("false") => Some(Expression::Value(Value::Bool(false))),
            Token::Name(name) => {
                if self.sign("(") {
                    let arguments = self.list(")", depth)?;
                    return Some(Expression::Call { on: None, name: (*name).to_owned(), arguments });
                }
                Some(Expression::Path((*name).to_owned()))
            }
            Token::Sign("(") => {
                let inner = self.any(depth)?;
                self.sign(")").then_some(inner)
            }
            Token::Sign("[") => Some(Expression::List(self.list("]", depth)?)),
            Token::Sign(_) => None,
        }
    }

    /// What stands between an open bracket, which is taken already, and its end.
    fn list(&mut self, end: &str, depth: usize) -> Option<Vec<Expression>> {
        let mut items = Vec::new();
        while !self.sign(end) {
            if !items.is_empty() && !self.sign(",") {
                return None;
            }
            items.push(self.any(depth)?);
        }
        Some(items)
    }
}
