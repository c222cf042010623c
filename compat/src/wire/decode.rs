//! Reads forms out of JSON as Go's `encoding/json` fills structs: keys in any case, unknown keys refused, and every clash
//! told with the Go type that Consul has there.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;

use proconsul_anchors::duration::{self, BadDuration};

use crate::go::base64::Corrupt;
use crate::go::json::{Json, SyntaxError, parse};
use crate::go::text::quote;

/// Why a body never came whole, in Go's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyFault {
    #[error("unexpected EOF")]
    Cut,
    #[error("invalid byte in chunk length")]
    Garbled,
    #[error("i/o timeout")]
    Late,
}

/// Why a body is not what was expected; printed in Go's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    /// It is no JSON.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// A key that the form does not have.
    #[error("json: unknown field {}{}", quote(.0), enterprise_hint(.0, *.1))]
    UnknownField(String, Hint),
    /// A value of another kind than the form has there.
    #[error("json: cannot unmarshal {value} into {place} of type {expected}")]
    Clash {
        /// What was found.
        value: String,
        /// Where.
        place: String,
        /// The Go type that stands there.
        expected: Cow<'static, str>,
    },
    /// A text that is no duration.
    #[error(transparent)]
    Duration(#[from] BadDuration),
    /// A text that is no moment.
    #[error(transparent)]
    Time(#[from] crate::go::time::BadTime),
    /// No text at all where a moment should stand.
    #[error("Time.UnmarshalJSON: input is not a JSON string")]
    NoTime,
    /// A text that is no base64.
    #[error(transparent)]
    Base64(#[from] Corrupt),
    /// It never came whole.
    #[error(transparent)]
    Body(#[from] BodyFault),
}

/// Whether the endpoint explains that namespaces belong to the enterprise edition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    /// It does not.
    None,
    /// It does.
    Namespaces,
}

fn enterprise_hint(field: &str, hint: Hint) -> &'static str {
    match (field, hint) {
        ("Namespace", Hint::Namespaces) => " - Namespaces are a Consul Enterprise feature",
        _ => "",
    }
}

/// Reads a body into a form.
pub(crate) fn body<T: Read>(text: &[u8], hint: Hint) -> Result<T, DecodeError> {
    let mut form = T::default();
    body_into(&mut form, text, hint)?;
    Ok(form)
}

/// Reads a body over a form that has its defaults already.
pub(crate) fn body_into<T: Read>(form: &mut T, text: &[u8], hint: Hint) -> Result<(), DecodeError> {
    form.read(&parse(text)?, &Place::root(hint))
}

/// Something that can be filled from JSON. `null` leaves a scalar as it is and empties what can be nothing.
pub(crate) trait Read: Default {
    /// What Go calls its type.
    fn go_type() -> Cow<'static, str>;

    /// Takes the value over.
    fn read(&mut self, value: &Json, place: &Place<'_>) -> Result<(), DecodeError>;
}

/// Where in a body a value stands, as Go tells it: the struct that was last entered and the way to its field.
pub(crate) struct Place<'a> {
    parent: Option<&'a Self>,
    segment: &'static str,
    /// The struct whose field this is; `None` at the root.
    within: Option<&'static str>,
    /// Go's own decoders for a type name the struct around it, however deep they get.
    frozen: bool,
    hint: Hint,
}

/// How Go decodes a struct.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// Field by field, under this name.
    Plain(&'static str),
    /// Through a decoder of its own, which loses the name.
    Custom,
}

impl<'a> Place<'a> {
    fn root(hint: Hint) -> Self {
        Self { parent: None, segment: "", within: None, frozen: false, hint }
    }

    /// The inside of a struct that stands here.
    pub(crate) fn enter(&'a self, shape: Shape) -> Self {
        let (within, frozen) = match (shape, self.within) {
            _ if self.frozen => (self.within, true),
            (Shape::Plain(name), _) => (Some(name), false),
            (Shape::Custom, None) => (Some(""), false),
            (Shape::Custom, outer) => (outer, true),
        };
        Self { parent: Some(self), segment: "", within, frozen, hint: self.hint }
    }

    /// A field of the struct that was entered.
    pub(crate) fn field(&'a self, segment: &'static str) -> Self {
        Self {
            parent: Some(self),
            segment,
            within: self.within,
            frozen: self.frozen,
            hint: self.hint,
        }
    }

    fn path(&self, out: &mut String) {
        if let Some(parent) = self.parent {
            parent.path(out);
        }
        if !self.segment.is_empty() {
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(self.segment);
        }
    }

    fn shown(&self) -> String {
        let Some(within) = self.within else { return "Go value".to_owned() };
        let mut path = String::new();
        self.path(&mut path);
        format!("Go struct field {within}.{path}")
    }

    /// A value that cannot stand here.
    pub(crate) fn clash(&self, value: &Json, expected: Cow<'static, str>) -> DecodeError {
        DecodeError::Clash { value: value.kind().to_owned(), place: self.shown(), expected }
    }

    /// A number that is none of this type.
    pub(crate) fn misfit(&self, text: &str, expected: Cow<'static, str>) -> DecodeError {
        misfit(text, self, expected)
    }

    /// A key that the form does not have.
    pub(crate) fn unknown(&self, key: &str) -> DecodeError {
        DecodeError::UnknownField(key.to_owned(), self.hint)
    }
}

/// The pairs of an object that is to fill a struct of this type.
pub(crate) fn pairs<'v>(
    value: &'v Json,
    place: &Place<'_>,
    go_type: impl Into<Cow<'static, str>>,
) -> Result<&'v [(String, Json)], DecodeError> {
    match value {
        Json::Null => Ok(&[]),
        Json::Object(pairs) => Ok(pairs),
        _ => Err(place.clash(value, go_type.into())),
    }
}

/// Makes a struct readable: its Go type, how Go decodes it, whether unknown keys are refused, and for each key where its value goes.
///
/// A key after `own` stands in the decoder's own struct; the others stand in the one that it embeds as `Alias`.
macro_rules! form {
    ($form:ty, $go_type:expr, plain $name:literal, $unknown:ident, { $($key:literal => $($field:tt).+),* $(,)? }) => {
        form!(@impl $form, $go_type, $crate::wire::decode::Shape::Plain($name), $unknown, { $($key, $key => $($field).+;)* });
    };
    ($form:ty, $go_type:expr, custom, $unknown:ident,
     { $($key:literal => $($field:tt).+),* $(,)? } own { $($own:literal => $($own_field:tt).+),* $(,)? }) => {
        form!(@impl $form, $go_type, $crate::wire::decode::Shape::Custom, $unknown,
              { $($key, concat!("Alias.", $key) => $($field).+;)* $($own, $own => $($own_field).+;)* });
    };
    (@impl $form:ty, $go_type:expr, $shape:expr, $unknown:ident, { $($key:expr, $segment:expr => $($field:tt).+;)* }) => {
        impl $crate::wire::decode::Read for $form {
            fn go_type() -> std::borrow::Cow<'static, str> {
                $go_type.into()
            }

            fn read(
                &mut self,
                value: &$crate::go::json::Json,
                place: &$crate::wire::decode::Place<'_>,
            ) -> Result<(), $crate::wire::decode::DecodeError> {
                let inside = place.enter($shape);
                for (key, value) in $crate::wire::decode::pairs(value, place, Self::go_type())? {
                    $(if key.eq_ignore_ascii_case($key) {
                        $crate::wire::decode::Read::read(&mut self.$($field).+, value, &inside.field($segment))?;
                        continue;
                    })*
                    form!(@$unknown inside, key);
                }
                Ok(())
            }
        }
    };
    (@refuse $inside:ident, $key:ident) => {
        return Err($inside.unknown($key));
    };
    (@ignore $inside:ident, $key:ident) => {};
}
pub(crate) use form;

/// Makes a list readable whose Go type has a name of its own.
macro_rules! list_form {
    ($form:ty, $go_type:literal) => {
        impl $crate::wire::decode::Read for $form {
            fn go_type() -> std::borrow::Cow<'static, str> {
                $go_type.into()
            }

            fn read(
                &mut self,
                value: &$crate::go::json::Json,
                place: &$crate::wire::decode::Place<'_>,
            ) -> Result<(), $crate::wire::decode::DecodeError> {
                match value {
                    $crate::go::json::Json::Null | $crate::go::json::Json::Array(_) => {
                        $crate::wire::decode::Read::read(&mut self.0, value, place)
                    }
                    _ => Err(place.clash(value, Self::go_type())),
                }
            }
        }
    };
}
pub(crate) use list_form;

impl Read for String {
    fn go_type() -> Cow<'static, str> {
        "string".into()
    }

    fn read(&mut self, value: &Json, place: &Place<'_>) -> Result<(), DecodeError> {
        read_text(self, value, place, Self::go_type())
    }
}

/// A text, by whatever name Go calls its type.
pub(crate) fn read_text(
    into: &mut String,
    value: &Json,
    place: &Place<'_>,
    go_type: Cow<'static, str>,
) -> Result<(), DecodeError> {
    match value {
        Json::Null => {}
        Json::Text(text) => into.clone_from(text),
        _ => return Err(place.clash(value, go_type)),
    }
    Ok(())
}

impl Read for bool {
    fn go_type() -> Cow<'static, str> {
        "bool".into()
    }

    fn read(&mut self, value: &Json, place: &Place<'_>) -> Result<(), DecodeError> {
        match value {
            Json::Null => {}
            Json::Bool(yes) => *self = *yes,
            _ => return Err(place.clash(value, Self::go_type())),
        }
        Ok(())
    }
}

impl Read for i64 {
    fn go_type() -> Cow<'static, str> {
        "int".into()
    }

    fn read(&mut self, value: &Json, place: &Place<'_>) -> Result<(), DecodeError> {
        read_number(self, value, place)
    }
}

impl Read for u64 {
    fn go_type() -> Cow<'static, str> {
        "uint64".into()
    }

    fn read(&mut self, value: &Json, place: &Place<'_>) -> Result<(), DecodeError> {
        read_number(self, value, place)
    }
}

/// Reads a whole number.
fn read_number<N: Read + FromStr>(
    number: &mut N,
    value: &Json,
    place: &Place<'_>,
) -> Result<(), DecodeError> {
    match value {
        Json::Null => {}
        Json::Number(text) => {
            *number = text.parse().map_err(|_| misfit(text, place, N::go_type()))?
        }
        _ => return Err(place.clash(value, N::go_type())),
    }
    Ok(())
}

/// A number that is none of this type.
fn misfit(text: &str, place: &Place<'_>, expected: Cow<'static, str>) -> DecodeError {
    DecodeError::Clash { value: format!("number {text}"), place: place.shown(), expected }
}

/// An identifier that Go has a type of its own for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CheckId(pub(crate) String);

impl Read for CheckId {
    fn go_type() -> Cow<'static, str> {
        "types.CheckID".into()
    }

    fn read(&mut self, value: &Json, place: &Place<'_>) -> Result<(), DecodeError> {
        read_text(&mut self.0, value, place, Self::go_type())
    }
}

impl<T: Read> Read for Vec<T> {
    fn go_type() -> Cow<'static, str> {
        format!("[]{}", T::go_type()).into()
    }

    fn read(&mut self, value: &Json, place: &Place<'_>) -> Result<(), DecodeError> {
        self.clear();
        match value {
            Json::Null => {}
            Json::Array(items) => {
                for item in items {
                    let mut read = T::default();
                    read.read(item, place)?;
                    self.push(read);
                }
            }
            _ => return Err(place.clash(value, Self::go_type())),
        }
        Ok(())
    }
}

impl<T: Read> Read for Option<T> {
    fn go_type() -> Cow<'static, str> {
        T::go_type()
    }

    fn read(&mut self, value: &Json, place: &Place<'_>) -> Result<(), DecodeError> {
        match value {
            Json::Null => *self = None,
            _ => self.get_or_insert_default().read(value, place)?,
        }
        Ok(())
    }
}

impl<T: Read> Read for Box<T> {
    fn go_type() -> Cow<'static, str> {
        T::go_type()
    }

    fn read(&mut self, value: &Json, place: &Place<'_>) -> Result<(), DecodeError> {
        T::read(self, value, place)
    }
}

impl<T: Read> Read for BTreeMap<String, T> {
    fn go_type() -> Cow<'static, str> {
        format!("map[string]{}", T::go_type()).into()
    }

    fn read(&mut self, value: &Json, place: &Place<'_>) -> Result<(), DecodeError> {
        for (key, value) in pairs(value, place, Self::go_type())? {
            let mut read = T::default();
            read.read(value, place)?;
            self.insert(key.clone(), read);
        }
        Ok(())
    }
}

/// Anything; looked at by whoever takes the form.
impl Read for Json {
    fn go_type() -> Cow<'static, str> {
        "interface {}".into()
    }

    fn read(&mut self, value: &Json, _: &Place<'_>) -> Result<(), DecodeError> {
        self.clone_from(value);
        Ok(())
    }
}

/// A field that is accepted and not looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ignored;

impl Read for Ignored {
    fn go_type() -> Cow<'static, str> {
        "interface {}".into()
    }

    fn read(&mut self, _: &Json, _: &Place<'_>) -> Result<(), DecodeError> {
        Ok(())
    }
}

/// Nanoseconds, given as Go's text for a duration or as a number; any other kind of value counts as not given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Nanos(pub(crate) i64);

impl Read for Nanos {
    fn go_type() -> Cow<'static, str> {
        "interface {}".into()
    }

    fn read(&mut self, value: &Json, place: &Place<'_>) -> Result<(), DecodeError> {
        match value {
            Json::Text(text) => self.0 = duration::parse(text)?,
            Json::Number(text) => self.0 = whole(text, place)?,
            _ => {}
        }
        Ok(())
    }
}

/// A number as Go takes it into an `interface{}` and makes it whole: by way of a float, where what does not fit becomes
/// the least of all numbers.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "it is checked to fit, as Go's is not"
)]
pub(crate) fn whole(text: &str, place: &Place<'_>) -> Result<i64, DecodeError> {
    let number: f64 = text.parse().unwrap_or(f64::INFINITY);
    if !number.is_finite() {
        return Err(misfit(text, place, "float64".into()));
    }
    let fits = (i64::MIN as f64..i64::MAX as f64).contains(&number);
    Ok(if fits { number as i64 } else { i64::MIN })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default, Debug, PartialEq)]
    struct Inner {
        port: i64,
    }

    form!(Inner, "pkg.Inner", plain "Inner", refuse, { "Port" => port });

    #[derive(Default, Debug, PartialEq)]
    struct Outer {
        name: String,
        wait: Nanos,
        inner: Option<Inner>,
        by_name: BTreeMap<String, Inner>,
        nested: Vec<Self>,
    }

    form!(Outer, "struct { … }", custom, refuse,
        { "Name" => name, "Inner" => inner, "ByName" => by_name, "Nested" => nested } own { "Wait" => wait });

    #[test]
    fn clashes_are_told_where_go_tells_them() {
        let cases = [
            (
                r#"{"Name":5}"#,
                "json: cannot unmarshal number into Go struct field .Alias.Name of type string",
            ),
            (
                r#"{"Inner":{"Port":"x"}}"#,
                "json: cannot unmarshal string into Go struct field Inner.Alias.Inner.Port of type int",
            ),
            (
                r#"{"Inner":{"Port":1.5}}"#,
                "json: cannot unmarshal number 1.5 into Go struct field Inner.Alias.Inner.Port of type int",
            ),
            (
                r#"{"Inner":[]}"#,
                "json: cannot unmarshal array into Go struct field .Alias.Inner of type pkg.Inner",
            ),
            (
                r#"{"ByName":{"a":{"Port":true}}}"#,
                "json: cannot unmarshal bool into Go struct field Inner.Alias.ByName.Port of type int",
            ),
            (
                r#"{"ByName":5}"#,
                "json: cannot unmarshal number into Go struct field .Alias.ByName of type map[string]pkg.Inner",
            ),
            (
                r#"{"Nested":[{"Name":{}}]}"#,
                "json: cannot unmarshal object into Go struct field .Alias.Nested.Alias.Name of type string",
            ),
            (
                r#"{"Nested":[{"Inner":{"Port":{}}}]}"#,
                "json: cannot unmarshal object into Go struct field .Alias.Nested.Alias.Inner.Port of type int",
            ),
            (r#"{"Foo":1}"#, r#"json: unknown field "Foo""#),
            (
                r#"{"Namespace":"x"}"#,
                r#"json: unknown field "Namespace" - Namespaces are a Consul Enterprise feature"#,
            ),
            (r#"{"Wait":"x"}"#, r#"time: invalid duration "x""#),
            ("[1]", "json: cannot unmarshal array into Go value of type struct { … }"),
            ("", "EOF"),
        ];
        for (text, told) in cases {
            let read = body::<Outer>(text.as_bytes(), Hint::Namespaces);
            assert_eq!(read.map_err(|error| error.to_string()), Err(told.to_owned()), "{text}");
        }
    }

    #[test]
    fn keys_match_in_any_case_and_null_says_nothing() {
        let read: Outer =
            body(br#"{"NAME":"a","name":null,"wait":1e9,"Inner":null,"nested":null}x"#, Hint::None)
                .unwrap();
        assert_eq!(
            read,
            Outer { name: "a".into(), wait: Nanos(1_000_000_000), ..Outer::default() }
        );
        assert_eq!(body(b"null", Hint::None), Ok(Outer::default()));
    }
}
