//! From a condition's words to what it says

use super::comparison::{Comparison, Operand};
use super::token::{Token, tokens};
use super::{Attribute, Expression};
use crate::azure::operation::OperationPattern;

/// Deeper ones are not read: their answer is unknown.
const DEPTH_MAX: usize = 32;

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

    fn take(&mut self, wanted: &Token<'_>) -> bool {
        match self.left.split_first() {
            Some((first, rest)) if first == wanted => {
                self.left = rest;
                true
            }
            _ => false,
        }
    }

    fn any(&mut self, depth: usize) -> Option<Expression> {
        let mut parts = vec![self.all(depth)?];
        while self.take(&Token::Or) {
            parts.push(self.all(depth)?);
        }
        Some(if parts.len() == 1 { parts.pop()? } else { Expression::Any(parts) })
    }

    fn all(&mut self, depth: usize) -> Option<Expression> {
        let mut parts = vec![self.one(depth)?];
        while self.take(&Token::And) {
            parts.push(self.one(depth)?);
        }
        Some(if parts.len() == 1 { parts.pop()? } else { Expression::All(parts) })
    }

    fn one(&mut self, depth: usize) -> Option<Expression> {
        let depth = depth.checked_sub(1)?;
        match self.left.first()? {
            Token::Not => {
                self.next()?;
                Some(Expression::Not(Box::new(self.one(depth)?)))
            }
            Token::Sign('(') => {
                self.next()?;
                let inner = self.any(depth)?;
                self.take(&Token::Sign(')')).then_some(inner)
            }
            Token::Word(word) if word.eq_ignore_ascii_case("ActionMatches") => {
                self.next()?;
                let pattern = OperationPattern::parse(self.braced()?).ok()?;
                Some(Expression::Operation(pattern))
            }
            Token::Word(word) if word.eq_ignore_ascii_case("SubOperationMatches") => {
                self.next()?;
                Some(Expression::SubOperation(self.braced()?.to_owned()))
            }
            Token::Word(word) if word.eq_ignore_ascii_case("Exists") => {
                self.next()?;
                match self.operand()? {
                    Operand::Attribute(attribute) => Some(Expression::Exists(attribute)),
                    Operand::Values(_) => None,
                }
            }
            _ => {
                let left = self.operand()?;
                let Token::Word(operator) = self.next()? else { return None };
                let right = self.operand()?;
                Comparison::new(left, operator, right).map(Expression::Comparison)
            }
        }
    }

    /// `{'one text'}`
    fn braced(&mut self) -> Option<&'a str> {
        if !self.take(&Token::Sign('{')) {
            return None;
        }
        let Token::Text(text) = self.next()? else { return None };
        self.take(&Token::Sign('}')).then_some(*text)
    }

    /// An attribute, a value, or `{value, value}`
    fn operand(&mut self) -> Option<Operand> {
        match self.next()? {
            Token::Attribute(text) => Some(Operand::Attribute(Attribute { text: (*text).to_owned() })),
            Token::Text(text) | Token::Word(text) => Some(Operand::Values(vec![(*text).to_owned()])),
            Token::Sign('{') => {
                let mut values = Vec::new();
                loop {
                    match self.next()? {
                        Token::Text(text) | Token::Word(text) => values.push((*text).to_owned()),
                        _ => return None,
                    }
                    match self.next()? {
                        Token::Sign('}') => return Some(Operand::Values(values)),
                        Token::Sign(',') => {}
                        _ => return None,
                    }
                }
            }
            _ => None,
        }
    }
}
