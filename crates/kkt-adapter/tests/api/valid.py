"""Exits with 0 if an OpenAPI document is valid and each of its examples is of its schema."""

import json
import sys

from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012


def examples(value, place=""):
    """Each example with the place of its schema."""
    if isinstance(value, dict):
        if "schema" in value and "example" in value:
            yield place, value["example"]
        for name, inner in value.items():
            if name not in ("example", "examples"):
                yield from examples(inner, f"{place}/{name.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from examples(inner, f"{place}/{index}")


with open(sys.argv[1], encoding="utf-8") as file:
    document = json.load(file)
validate(document)
registry = Registry().with_resource("urn:api", Resource(document, DRAFT202012))
count = 0
for place, example in examples(document):
    schema = {"$ref": f"urn:api#{place}/schema"}
    for error in Draft202012Validator(schema, registry=registry).iter_errors(example):
        sys.exit(f"{place}: {error.json_path}: {error.message}")
    count += 1
if count < 50:
    sys.exit(f"only {count} examples were found")
print(f"valid, with {count} examples")
