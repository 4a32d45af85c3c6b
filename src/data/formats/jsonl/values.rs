//! A line's object -> the fields that columns take.

use super::MAX_FIELDS;
use crate::data::ElementType;
use crate::data::error;
use crate::data::formats::decode::Number;
use crate::data::formats::sink::{Refusal, Sink, expected};
use rustc_hash::FxHashMap;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// The fields of a row that columns take.
#[derive(Default)]
pub struct Row {
    pub fields: Vec<Field>,
    places: FxHashMap<String, usize>,
}

impl Row {
    /// The place of a field of which some column takes `most` numbers.
    pub fn field(&mut self, name: &str, most: usize) -> usize {
        let at = self.places.get(name).copied().unwrap_or_else(|| {
            self.places.insert(name.into(), self.fields.len());
            self.fields.push(Field {
                name: name.into(),
                ..Field::default()
            });
            self.fields.len() - 1
        });
        self.fields[at].most = self.fields[at].most.max(most);
        at
    }
}

/// What `null` is called.
const NULL: &str = "null";

/// A field's value in a row.
#[derive(Default)]
pub struct Field {
    pub name: String,
    /// Numbers beyond these are counted, not kept.
    most: usize,
    found: Found,
    numbers: Vec<Number>,
    text: String,
    /// Lengths of the lists, the outermost first.
    dims: Vec<Option<usize>>,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Found {
    #[default]
    Nothing,
    Number,
    Text,
    List,
    /// Something that no column holds.
    Other(&'static str),
}

impl Field {
    pub fn clear(&mut self) {
        self.found = Found::Nothing;
        self.numbers.clear();
        self.text.clear();
        self.dims.clear();
    }

    pub fn put(&self, shape: &[usize], sink: &mut Sink) -> Result<(), Refusal> {
        let each: usize = shape.iter().product();
        let none = matches!(self.found, Found::Nothing | Found::Other(NULL));
        if none && (0..each).all(|_| sink.nothing()) {
            return Ok(());
        }
        let refused = |found: String| Refusal::Kind {
            found,
            expected: expected(sink.element(), shape),
        };
        let text = sink.element() == ElementType::Text;
        match self.found {
            Found::Nothing => Err(refused("nothing".into())),
            Found::Other(_) if text && !self.dims.is_empty() => Err(refused("a list".into())),
            Found::Other(what) => Err(refused(what.into())),
            Found::Text if text || each == 1 => sink.text(&self.text),
            Found::Text => Err(refused(format!("the string {}", error::shown(&self.text)))),
            Found::Number if each != 1 => Err(refused(format!("the number {}", self.numbers[0]))),
            Found::List if text => Err(refused("a list".into())),
            Found::List => {
                let dims: Vec<usize> = self.dims.iter().map(|d| d.unwrap_or(0)).collect();
                if dims != shape && dims != [each] {
                    return Err(refused(match &dims[..] {
                        [n] => format!("a list of {n}"),
                        dims => format!("lists of shape {}", error::shape(dims)),
                    }));
                }
                self.numbers.iter().try_for_each(|&x| sink.number(x))
            }
            Found::Number => self.numbers.iter().try_for_each(|&x| sink.number(x)),
        }
    }

    fn number(&mut self, x: Number, depth: usize) {
        if depth == 0 {
            self.found = Found::Number;
        } else if self.dims.len() != depth {
            self.found = Found::Other("lists of different depths");
        }
        if self.numbers.len() < self.most.max(1) {
            self.numbers.push(x);
        }
    }

    /// A list of `n` has ended, inside `depth` others.
    fn list(&mut self, n: usize, depth: usize) {
        match self.dims[depth] {
            None => self.dims[depth] = Some(n),
            Some(other) if other == n => {}
            Some(_) => self.found = Found::Other("lists of different lengths"),
        }
    }
}

const OBJECT: &str = "one object per line: {\"name\": value, ...}";

/// Collects the names of an object's fields.
pub(super) struct Names<'a>(pub &'a mut Vec<String>);

impl<'de> Visitor<'de> for Names<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(OBJECT)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, IgnoredAny)) = map.next_entry()? {
            if self.0.len() == MAX_FIELDS {
                let more = format!("an object with more than {MAX_FIELDS} fields");
                return Err(A::Error::custom(more));
            }
            self.0.push(name);
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for &mut Row {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(OBJECT)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(at) = map.next_key_seed(Key(&self.places))? {
            let Some(at) = at else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let field = &mut self.fields[at];
            if field.found != Found::Nothing {
                let again = format!("duplicate field `{}`", field.name);
                return Err(A::Error::custom(again));
            }
            map.next_value_seed(Value { field, depth: 0 })?;
        }
        Ok(())
    }
}

/// A name -> the place of the field of that name, if a column takes it.
struct Key<'a>(&'a FxHashMap<String, usize>);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.get(name).copied())
    }
}

/// A value -> what its field holds.
struct Value<'a> {
    field: &'a mut Field,
    depth: usize,
}

impl Value<'_> {
    fn other<E>(self, alone: &'static str, inside: &'static str) -> Result<(), E> {
        self.field.found = Found::Other(if self.depth == 0 { alone } else { inside });
        Ok(())
    }

    fn number<E>(self, x: Number) -> Result<(), E> {
        self.field.number(x, self.depth);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, x: bool) -> Result<(), E> {
        self.number(Number::Whole(i64::from(x)))
    }

    fn visit_i64<E>(self, x: i64) -> Result<(), E> {
        self.number(Number::Whole(x))
    }

    fn visit_u64<E>(self, x: u64) -> Result<(), E> {
        self.number(i64::try_from(x).map_or(Number::Huge(x), Number::Whole))
    }

    fn visit_f64<E>(self, x: f64) -> Result<(), E> {
        self.number(Number::Float(x))
    }

    fn visit_str<E>(self, x: &str) -> Result<(), E> {
        if self.depth > 0 {
            return self.other("", "a list that contains a string");
        }
        self.field.found = Found::Text;
        self.field.text.push_str(x);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.other(NULL, "a list that contains null")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.other("an object", "a list that contains an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Value { field, depth } = self;
        if depth == 0 {
            field.found = Found::List;
        }
        if field.dims.len() == depth {
            field.dims.push(None);
        }
        let mut n = 0;
        loop {
            let next = Value {
                field: &mut *field,
                depth: depth + 1,
            };
            if list.next_element_seed(next)?.is_none() {
                break;
            }
            n += 1;
        }
        field.list(n, depth);
        Ok(())
    }
}
