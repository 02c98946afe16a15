//! What is said of one route.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

/// Makes the schema of a type.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// The schema of a type, by its name where it has one.
pub fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Groups of operations, in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// Selling, and what became of it.
    Receipts,
    /// The shift of a KKT.
    Shift,
    /// The way to the OFD.
    Buffer,
    /// Documents that the OFD did not take.
    DeadLetters,
    /// The circuit breakers.
    Breakers,
    /// What happens, who did it, how much.
    Watch,
    /// Health.
    Health,
    /// Browsers.
    Session,
    /// What is not for programs.
    Pages,
}

impl Tag {
    /// All, with their names and what they are about.
    pub const ALL: [(Self, &'static str, &'static str); 9] = [
        (Self::Receipts, "Receipts", "Sell, look up, cancel."),
        (
            Self::Shift,
            "Shift",
            "The adapter opens a shift at the first sale and closes it before 24 hours are over.",
        ),
        (Self::Buffer, "Buffer and sync", "How much waits for the OFD."),
        (Self::DeadLetters, "Dead letters", "Documents that the OFD refused for good; a person decides."),
        (
            Self::Breakers,
            "Circuit breakers",
            "`ofd` guards the endpoint, `device:<id>` the credentials of a KKT.",
        ),
        (Self::Watch, "Events, audit, metrics", "What happens, who did it, how much of it."),
        (Self::Health, "Health", "For supervisors, load balancers and people."),
        (Self::Session, "Session", "A browser exchanges a token for a cookie."),
        (Self::Pages, "Pages", "The dashboard, this documentation and their files."),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(tag, ..)| *tag == self).map_or("", |(_, name, _)| name)
    }
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the path.
    Path,
    /// In the query.
    Query,
    /// A header.
    Header,
}

impl Place {
    /// The name in the document.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
        }
    }
}

/// A parameter.
#[derive(Debug, Clone)]
pub struct Parameter {
    pub place: Place,
    pub name: &'static str,
    pub text: &'static str,
    pub schema: SchemaOf,
    pub required: bool,
    /// Part of the sample, if there is one.
    pub example: Option<&'static str>,
}

/// A request's body.
#[derive(Debug, Clone)]
pub struct Body {
    pub schema: SchemaOf,
    /// Without one, every field is optional.
    pub required: bool,
    pub example: Value,
}

/// An answer that is no error.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub text: &'static str,
    /// Content type, schema, example; more than one where `Accept` decides.
    pub content: Vec<(&'static str, SchemaOf, Option<&'static str>)>,
    /// Headers besides those of every answer.
    pub headers: Vec<(&'static str, &'static str)>,
}

/// What is said of one route.
#[derive(Debug, Clone)]
pub struct Operation {
    pub id: &'static str,
    pub tag: Tag,
    pub summary: &'static str,
    pub text: &'static str,
    pub parameters: Vec<Parameter>,
    pub body: Option<Body>,
    pub answers: Vec<Answer>,
    /// Codes of errors besides those that its kind of route has anyway.
    pub errors: Vec<&'static str>,
    /// Content types that the sample asks for, if it must.
    pub accept: Option<&'static str>,
    /// What stands in the `data` of its events.
    pub event_data: Option<SchemaOf>,
}

impl Operation {
    /// Nothing is said of it yet but its name.
    pub fn new(id: &'static str, tag: Tag, summary: &'static str) -> Self {
        Self {
            id,
            tag,
            summary,
            text: "",
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            errors: Vec::new(),
            accept: None,
            event_data: None,
        }
    }

    /// More about it, in CommonMark.
    pub fn text(mut self, text: &'static str) -> Self {
        self.text = text;
        self
    }

    fn parameter(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// A part of the path.
    pub fn path(
        self,
        name: &'static str,
        schema: SchemaOf,
        example: &'static str,
        text: &'static str,
    ) -> Self {
        let (place, required, example) = (Place::Path, true, Some(example));
        self.parameter(Parameter { place, name, text, schema, required, example })
    }

    /// A header that must be there.
    pub fn header(
        self,
        name: &'static str,
        schema: SchemaOf,
        example: &'static str,
        text: &'static str,
    ) -> Self {
        let (place, required, example) = (Place::Header, true, Some(example));
        self.parameter(Parameter { place, name, text, schema, required, example })
    }

    /// A header that may be there.
    pub fn optional_header(self, name: &'static str, schema: SchemaOf, text: &'static str) -> Self {
        let (place, required, example) = (Place::Header, false, None);
        self.parameter(Parameter { place, name, text, schema, required, example })
    }

    /// A part of the query that must be there.
    pub fn query(
        self,
        name: &'static str,
        schema: SchemaOf,
        example: &'static str,
        text: &'static str,
    ) -> Self {
        let (place, required, example) = (Place::Query, true, Some(example));
        self.parameter(Parameter { place, name, text, schema, required, example })
    }

    /// A part of the query that may be there; `example` makes it part of the sample.
    pub fn optional(
        self,
        name: &'static str,
        schema: SchemaOf,
        example: Option<&'static str>,
        text: &'static str,
    ) -> Self {
        let (place, required) = (Place::Query, false);
        self.parameter(Parameter { place, name, text, schema, required, example })
    }

    /// A body that must be there.
    pub fn body<T: JsonSchema>(mut self, example: Value) -> Self {
        self.body = Some(Body { schema: schema_of::<T>, required: true, example });
        self
    }

    /// A body whose fields are all optional.
    pub fn optional_body<T: JsonSchema>(mut self, example: Value) -> Self {
        self.body = Some(Body { schema: schema_of::<T>, required: false, example });
        self
    }

    /// An answer in JSON, with an example as the adapter gave it.
    pub fn json<T: JsonSchema>(self, status: u16, text: &'static str, example: &'static str) -> Self {
        self.content(status, text, vec![("application/json", schema_of::<T>, Some(example))])
    }

    /// An answer of other kinds of content.
    pub fn content(
        mut self,
        status: u16,
        text: &'static str,
        content: Vec<(&'static str, SchemaOf, Option<&'static str>)>,
    ) -> Self {
        self.answers.push(Answer { status, text, content, headers: Vec::new() });
        self
    }

    /// An answer without a body.
    pub fn empty(self, status: u16, text: &'static str) -> Self {
        self.content(status, text, Vec::new())
    }

    /// A header of the latest answer.
    pub fn answer_header(mut self, name: &'static str, text: &'static str) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.headers.push((name, text));
        }
        self
    }

    /// Errors besides those that its kind of route has anyway.
    pub fn errors(mut self, kinds: &[&'static str]) -> Self {
        self.errors.extend(kinds);
        self
    }

    /// It is a stream of events with such data.
    pub fn event_data<T: JsonSchema>(mut self) -> Self {
        self.event_data = Some(schema_of::<T>);
        self
    }

    /// What the sample asks for.
    pub fn accept(mut self, kind: &'static str) -> Self {
        self.accept = Some(kind);
        self
    }
}
