//! The page `docs/configuration.md` is written from the types of the configuration: what stands behind the mark in it is
//! compared with them, and written when `OLMSTEAD_WRITE_DOCS` is set.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use serde_json::Value;
use syn::{Attribute, Expr, ExprLit, Fields, GenericArgument, Item, Lit, Meta, PathArguments, Type};

use super::*;

const PAGE: &str = "docs/configuration.md";
/// What is behind it in the page is written here.
const MARK: &str = "<!-- Written from the types in crates/server/src/config: see CONTRIBUTING.md. -->\n";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The types of the configuration by name.
struct Types(BTreeMap<String, Item>);

impl Types {
    fn read() -> Self {
        let mut types = BTreeMap::new();
        for entry in fs::read_dir(root().join("crates/server/src/config")).unwrap() {
            for item in syn::parse_file(&fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap().items {
                match &item {
                    Item::Struct(of) => drop(types.insert(of.ident.to_string(), item)),
                    Item::Enum(of) => drop(types.insert(of.ident.to_string(), item)),
                    _ => {}
                }
            }
        }
        Self(types)
    }

    /// The page's part for a struct, whose keys begin with these; first its own keys, then its sections.
    fn section(&self, name: &str, keys: &[String], defaults: &Value) -> String {
        let Some(Item::Struct(of)) = self.0.get(name) else { panic!("{name} is no struct of the configuration") };
        let Fields::Named(fields) = &of.fields else { panic!("{name} has fields without names") };
        let (mut page, mut sections) = (String::new(), String::new());
        for field in &fields.named {
            let mut path = keys.to_vec();
            path.push(field.ident.as_ref().unwrap().to_string());
            let key = path.join(".");
            let docs = docs(&field.attrs);
            assert!(!docs.is_empty(), "the key {key} has no doc comment, which would say what it means");
            let (type_name, argument) = type_of(&field.ty);
            let default = defaults.get(path.last().unwrap()).unwrap();
            if matches!(self.0.get(&type_name), Some(Item::Struct(_))) {
                sections.push_str(&format!("\n## Section `{key}`\n\n{docs}\n"));
                sections.push_str(&self.section(&type_name, &path, default));
                continue;
            }
            let kind =
                self.kind(&type_name, argument.as_deref()).unwrap_or_else(|| panic!("{key}: what is {type_name}?"));
            let default = match default {
                // There is no name that would do.
                Value::String(text) if text.is_empty() => "must be set".to_owned(),
                Value::Null => "not set by default".to_owned(),
                value => format!("default `{value}`"),
            };
            let variable = format!("{PREFIX}{}", path.join("__").to_uppercase());
            page.push_str(&format!("\n### `{key}`\n\n*{kind}; {default}; `{variable}`*\n\n{docs}\n"));
            if let Some(Item::Enum(of)) = self.0.get(&type_name) {
                page.push('\n');
                for variant in &of.variants {
                    let (name, docs) = (variant.ident.to_string().to_lowercase(), self::docs(&variant.attrs));
                    assert!(!docs.is_empty(), "the value {name} of {key} has no doc comment");
                    page.push_str(&format!("- `\"{name}\"`: {docs}\n"));
                }
            }
        }
        page + &sections
    }

    /// A type in the words of the page.
    fn kind(&self, name: &str, argument: Option<&str>) -> Option<String> {
        let kind = match (name, argument) {
            ("String", _) => "text",
            ("PathBuf", _) => "path",
            ("Secret", _) => "text, a secret",
            ("bool", _) => "`true` or `false`",
            ("u8" | "u16" | "u32" | "u64" | "usize", _) => "whole number",
            ("f64", _) => "number",
            ("Vec", Some("String")) => "list of texts",
            ("BTreeMap", Some("String")) => "table of secret texts",
            _ => {
                let Item::Enum(of) = self.0.get(name)? else { return None };
                assert!(of.attrs.iter().any(is_lowercase), "the page writes the values of {name} in lower case");
                "one of the texts below"
            }
        };
        Some(kind.to_owned())
    }
}

/// The name of a type, what is in an `Option` being the type; and of what it is a list.
fn type_of(of: &Type) -> (String, Option<String>) {
    let Type::Path(path) = of else { panic!("a type that the page has no word for") };
    let last = path.path.segments.last().unwrap();
    let argument = match &last.arguments {
        PathArguments::AngleBracketed(arguments) => arguments.args.first(),
        _ => None,
    };
    match (last.ident.to_string(), argument) {
        (name, Some(GenericArgument::Type(of))) if name == "Option" => type_of(of),
        (name, Some(GenericArgument::Type(of))) => (name, Some(type_of(of).0)),
        (name, _) => (name, None),
    }
}

/// A doc comment, line for line.
fn docs(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter(|attribute| attribute.path().is_ident("doc")).filter_map(|attribute| {
        let Meta::NameValue(pair) = &attribute.meta else { return None };
        let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &pair.value else { return None };
        Some(text.value().trim().to_owned())
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn is_lowercase(attribute: &Attribute) -> bool {
    let mut lowercase = false;
    if attribute.path().is_ident("serde") {
        let read = attribute.parse_nested_meta(|meta| {
            let value: Lit = meta.value()?.parse()?;
            lowercase |=
                meta.path.is_ident("rename_all") && matches!(value, Lit::Str(text) if text.value() == "lowercase");
            Ok(())
        });
        read.unwrap();
    }
    lowercase
}

#[test]
fn the_page_has_every_key_with_what_it_means() {
    let defaults = serde_json::to_value(Config::default()).unwrap();
    let written = Types::read().section("Config", &[], &defaults);
    let path = root().join(PAGE);
    let page = fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(MARK).expect("the page has the mark");
    if env::var_os("OLMSTEAD_WRITE_DOCS").is_some() {
        fs::write(&path, format!("{head}{MARK}{written}")).unwrap();
    } else {
        assert!(
            rest == written,
            "{PAGE} is out of date; write it with OLMSTEAD_WRITE_DOCS=1 cargo xtask test the_page_has_every_key"
        );
    }
}

/// A key whose first word is not in the list would be read from the file alone.
#[test]
fn every_key_is_read_from_the_environment() {
    let Value::Object(defaults) = serde_json::to_value(Config::default()).unwrap() else { panic!("no object") };
    let mut keys = KEYS.map(str::to_owned);
    keys.sort();
    let mut fields: Vec<_> = defaults.into_iter().map(|(key, _)| key).collect();
    fields.sort();
    assert_eq!(keys.as_slice(), fields);
}

/// What the book and the deployment show as a configuration is one.
#[test]
fn configurations_that_are_shown_are_read() {
    let deployed = fs::read_to_string(root().join("deploy/olmstead.toml")).unwrap();
    let mut shown = vec![("deploy/olmstead.toml".to_owned(), deployed)];
    let mut pages = vec![root().join("README.md"), root().join("deploy/README.md")];
    pages.extend(fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    for page in pages.into_iter().filter(|page| page.extension().is_some_and(|end| end == "md")) {
        let text = fs::read_to_string(&page).unwrap();
        for block in text.split("\n```toml\n").skip(1) {
            let (block, _) = block.split_once("\n```").expect("the block ends");
            // A part of a file has no name in it.
            let name = if block.contains("server_name") { "" } else { "server_name = \"example.org\"\n" };
            shown.push((page.display().to_string(), format!("{name}{block}")));
        }
    }
    assert!(shown.len() >= 3, "the pages show some: {}", shown.len());
    for (place, text) in shown {
        assert!(tests::from_file(&text).is_ok(), "{place}: {:?}\n{text}", tests::from_file(&text));
    }
}
