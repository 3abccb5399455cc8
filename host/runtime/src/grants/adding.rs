//! Granting a plugin what it asks for, in the operator's own file: comments and order stay as they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sinew_plugin_host::{Ask, DirectoryAsk, Grant, Grants, Manifest, RobotPart};
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};

use super::{GrantsOptions, review};
use crate::files;
use crate::skills::Pick;
use crate::trouble::{input, unwritable};

/// What to grant.
#[derive(Clone, Debug)]
pub struct Adding {
    /// The plugin.
    pub name: String,
    /// The operator's grants file; it is made if it is not there.
    pub file: PathBuf,
    /// Where the directories are that it asks for, by name.
    pub directories: BTreeMap<String, PathBuf>,
    /// What it could do without, too.
    pub optional: bool,
    /// Share of the cell's speed.
    pub speed: Option<f64>,
    /// Largest gripper force, N.
    pub force_n: Option<f64>,
}

/// What was granted.
#[derive(Clone, Debug, Serialize)]
pub struct Added {
    /// The plugin.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// Each in a few words.
    pub added: Vec<String>,
}

/// Grants a plugin all that it needs and has not, and writes that into the operator's file.
///
/// # Errors
/// [`InputError`](crate::InputError): no such plugin, a directory whose place was not said, a file that is no grants file, or a
/// value that makes no sense. The file is as it was then.
pub fn add(options: &GrantsOptions, adding: &Adding) -> anyhow::Result<Added> {
    let path = &adding.file;
    let mut options = options.clone();
    options.sources.grants = path.exists().then(|| path.clone());
    let (config, all) = review(&options, Pick::Newest)?;
    let (grants, operator) = (config.grants, config.operator_grants);
    let names: Vec<&str> = all.iter().map(|one| one.manifest.name.as_str()).collect();
    let manifest = (all.iter().map(|one| &one.manifest))
        .find(|manifest| manifest.name == adding.name)
        .ok_or_else(|| {
            input(format!(
                "no plugin `{}` is known; there are {}. --plugin FILE names another one, --store DIR those in a store",
                adding.name,
                names.join(", ")
            ))
        })?;
    let text = match &options.sources.grants {
        Some(path) => files::read(path)?,
        None => String::new(),
    };
    let origin = path.display().to_string();
    let mut document: DocumentMut = (text.parse())
        .map_err(|error: toml_edit::TomlError| input(format!("{origin}: {error}")))?;
    let is_there = operator.contains(&adding.name);
    let added = write(
        &mut document,
        manifest,
        grants.of(&adding.name),
        is_there,
        &grants,
        adding,
    )?;
    if added.is_empty() {
        return Ok(Added {
            name: adding.name.clone(),
            file: path.clone(),
            added,
        });
    }
    let text = document.to_string();
    // What was written has to be a grants file, and enough.
    let new = Grants::from_toml_str(&text, &origin).map_err(|error| input(error.to_string()))?;
    new.meet(manifest).map_err(input)?;
    // Where a link leads to, and with the rights that the file had.
    let target = path.canonicalize().unwrap_or_else(|_| path.clone());
    let rights = target.metadata().map(|there| there.permissions());
    files::replace(&target, text.as_bytes())
        .and_then(|()| match rights {
            Ok(rights) => std::fs::set_permissions(&target, rights),
            Err(_) => Ok(()),
        })
        .map_err(|error| unwritable(&origin, &error))?;
    Ok(Added {
        name: adding.name.clone(),
        file: path.clone(),
        added,
    })
}

/// Edits the document; says what was added.
fn write(
    document: &mut DocumentMut,
    manifest: &Manifest,
    granted: Option<&Grant>,
    is_there: bool,
    grants: &Grants,
    adding: &Adding,
) -> anyhow::Result<Vec<String>> {
    let lack = grants.lack(manifest);
    let mut added = Vec::new();
    let asks = &manifest.directories;
    if let Some(name) =
        (adding.directories.keys()).find(|name| asks.iter().all(|ask| ask.name != **name))
    {
        let asked: Vec<&str> = asks.iter().map(|ask| ask.name.as_str()).collect();
        return Err(input(format!(
            "--directory {name}: it asks for no such directory; it asks for {}",
            if asked.is_empty() {
                "none".to_owned()
            } else {
                asked.join(", ")
            }
        )));
    }
    let has_directory = |name: &str| {
        granted.is_some_and(|grant| grant.directories.iter().any(|there| there.name == name))
    };
    let has =
        |interface: &String| granted.is_some_and(|grant| grant.interfaces.contains(interface));
    // Those that it lacks, and whatever else was said where it is.
    let directories = asks.iter().filter(|ask| {
        adding.directories.contains_key(&ask.name)
            || lack.directories.iter().any(|lack| lack.name == ask.name)
            || adding.optional && ask.optional && !has_directory(&ask.name)
    });
    let could_use = (manifest.imports.iter())
        .filter(|ask| adding.optional && ask.optional && !has(&ask.interface));
    let interfaces: Vec<&Ask> = (lack.interfaces.iter()).chain(could_use).collect();
    let is_done = lack.is_empty() && interfaces.is_empty() && adding.directories.is_empty();
    if is_done && adding.speed.is_none() && adding.force_n.is_none() {
        return Ok(added);
    }
    let table = table_of(document, &adding.name)?;
    if !is_there {
        // An entry of the operator's replaces the one that comes with the plugin: what that one gave stays.
        let given = granted
            .into_iter()
            .flat_map(|grant| grant.interfaces.iter());
        extend(table, "interfaces", given.map(String::as_str))?;
    }
    extend(
        table,
        "interfaces",
        interfaces.iter().map(|ask| ask.interface.as_str()),
    )?;
    added.extend(
        interfaces
            .iter()
            .map(|ask| format!("interface {}: {}", ask.interface, ask.why)),
    );
    // A list that is not there narrows nothing.
    if !lack.parts.is_empty() {
        extend(
            table,
            "parts",
            lack.parts.iter().map(|part| RobotPart::name(*part)),
        )?;
        added.extend(
            lack.parts
                .iter()
                .map(|part| format!("part {}", part.name())),
        );
    }
    if !lack.policies.is_empty() {
        extend(table, "policies", lack.policies.iter().map(String::as_str))?;
        added.extend(
            lack.policies
                .iter()
                .map(|policy| format!("policy {policy}")),
        );
    }
    for ask in directories {
        added.push(add_directory(table, ask, &adding.directories)?);
    }
    for (key, amount) in [("speed", adding.speed), ("force_n", adding.force_n)] {
        if let Some(amount) = amount {
            let mut new = toml_edit::Value::from(amount);
            // A comment behind it stays.
            if let Some(old) = table.get(key).and_then(Item::as_value) {
                new.decor_mut().clone_from(old.decor());
            }
            table[key] = Item::Value(new);
            added.push(format!("{key} {amount}"));
        }
    }
    Ok(added)
}

fn no_grants_file(what: &str) -> anyhow::Error {
    input(format!("the grants file has {what} that is something else"))
}

/// `[plugins."publisher/name"]`, made if it is not there.
fn table_of<'d>(document: &'d mut DocumentMut, name: &str) -> anyhow::Result<&'d mut Table> {
    let plugins = document.entry("plugins").or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let plugins = plugins
        .as_table_mut()
        .ok_or_else(|| no_grants_file("`plugins`"))?;
    let entry = plugins
        .entry(name)
        .or_insert_with(|| Item::Table(Table::new()));
    entry
        .as_table_mut()
        .ok_or_else(|| no_grants_file("a plugin's entry"))
}

/// Adds names to a list of names.
fn extend<'n>(
    table: &mut Table,
    key: &str,
    names: impl Iterator<Item = &'n str>,
) -> anyhow::Result<()> {
    let list = table.entry(key).or_insert_with(|| value(Array::new()));
    let list = list
        .as_array_mut()
        .ok_or_else(|| no_grants_file("a list"))?;
    for name in names {
        if !list.iter().any(|there| there.as_str() == Some(name)) {
            list.push(name);
        }
    }
    Ok(())
}

fn add_directory(
    table: &mut Table,
    ask: &DirectoryAsk,
    places: &BTreeMap<String, PathBuf>,
) -> anyhow::Result<String> {
    let path = (places.get(&ask.name)).and_then(|path: &PathBuf| Path::to_str(path)).ok_or_else(|| {
        input(format!(
            "it asks for the directory `{}` ({}): say which one that is here, with --directory {}=/the/folder",
            ask.name, ask.why, ask.name
        ))
    })?;
    let entry =
        (table.entry("directories")).or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    let list = entry
        .as_array_of_tables_mut()
        .ok_or_else(|| no_grants_file("`directories`"))?;
    list.retain(|there| there.get("name").and_then(Item::as_str) != Some(&ask.name));
    let mut given = Table::new();
    given["name"] = value(&ask.name);
    given["path"] = value(path);
    given["write"] = value(ask.write);
    list.push(given);
    Ok(format!("directory {} is {path}", ask.name))
}

impl Added {
    /// As a person reads it.
    #[must_use]
    pub fn to_text(&self) -> String {
        if self.added.is_empty() {
            return format!("{} has all that it needs", self.name);
        }
        format!(
            "{} may now, by {}:\n  {}",
            self.name,
            self.file.display(),
            self.added.join("\n  ")
        )
    }
}
