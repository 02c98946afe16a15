//! From what was said to checked values: each key by its kind, all that is wrong collected.

use super::{
    error::{Origin, Problem},
    key::{Key, Kind, Value},
    layers::flatten,
    raw::{Node, Raw, parse_value},
    values::Values,
};
use std::collections::BTreeMap;

/// Reads every key of `keys`. What is wrong goes to `problems` and its default stands in, so that the rest can be
/// checked; `None` if a key without a default is missing or wrong.
pub(super) fn read(
    keys: &[&'static Key],
    inside: &str,
    given: &BTreeMap<&'static str, Node>,
    place: &Origin,
    problems: &mut Vec<Problem>,
) -> Option<Values> {
    let place_of_table = (*place != Origin::Default).then(|| place.clone());
    let mut values = Values { place: place_of_table, ..Values::default() };
    let mut complete = true;
    for key in keys {
        let name = format!("{inside}{}", key.path);
        let node = given.get(key.path);
        let origin = node.map_or(Origin::Default, |node| node.origin.clone());
        if let Kind::Tables(item_keys, max) = &key.kind {
            let items = node.map_or_else(Vec::new, |node| tables(item_keys(), *max, &name, node, problems));
            values.by_key.insert(key.path, (Value::None, origin));
            values.tables.insert(key.path, items);
            continue;
        }
        let value = match node {
            None if key.default == "required" => {
                problems.push(Problem {
                    key: name,
                    origin: place.clone(),
                    value: None,
                    rule: format!("is missing; it must be {}", key.kind.range()),
                });
                None
            }
            None => Some(default(key)),
            Some(node) => key.kind.read(&node.raw).or_else(|| {
                problems.push(Problem {
                    key: name,
                    origin: origin.clone(),
                    value: Some(node.raw.show()),
                    rule: format!("must be {}", key.kind.range()),
                });
                (key.default != "required").then(|| default(key))
            }),
        };
        match value {
            Some(value) => _ = values.by_key.insert(key.path, (value, origin)),
            None => complete = false,
        }
    }
    complete.then_some(values)
}

pub(super) fn default(key: &Key) -> Value {
    match (&key.kind, key.default) {
        (Kind::List(..), text) => key.kind.read(&Raw::Loose(text.into())),
        (_, "") => Some(Value::None),
        (kind, text) => kind.read(&Raw::Loose(text.into())),
    }
    .expect("the table's defaults hold to its kinds, as a test checks")
}

fn tables(
    keys: &'static [Key],
    max: usize,
    name: &str,
    node: &Node,
    problems: &mut Vec<Problem>,
) -> Vec<Values> {
    let parsed = match &node.raw {
        Raw::Loose(text) => parse_value(text, &node.origin),
        raw => Some(raw.clone()),
    };
    let items = match parsed {
        Some(Raw::List(items)) if items.len() <= max => items,
        _ => {
            let first = keys[0].path;
            let way = match node.raw {
                Raw::Loose(_) => format!("such as [{{{first} = …}}]"),
                _ => format!("each under its own [[{name}]]"),
            };
            let rule = format!("must be a list of at most {max} tables, {way}");
            problems.push(Problem { key: name.into(), origin: node.origin.clone(), value: None, rule });
            return Vec::new();
        }
    };
    let keys: Vec<&'static Key> = keys.iter().collect();
    let item = |(index, item): (usize, Node)| {
        let inside = format!("{name}[{index}].");
        let Raw::Table(entries) = item.raw else {
            let rule = format!("must be a table, {{{} = …}}", keys[0].path);
            problems.push(Problem {
                key: format!("{name}[{index}]"),
                origin: item.origin,
                value: None,
                rule,
            });
            return None;
        };
        let mut given = BTreeMap::new();
        flatten(entries, &keys, &inside, "", &mut given, problems);
        read(&keys, &inside, &given, &item.origin, problems)
    };
    items.into_iter().enumerate().filter_map(item).collect()
}
