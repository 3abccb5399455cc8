//! `#[skill]` and `#[recovery]`. Both leave the item as it is and add one declaration after it, so that
//! what the author wrote is what the compiler reports on.

use proc_macro::{Delimiter, TokenStream, TokenTree};

/// Makes a function the skill of this crate.
///
/// ```ignore
/// #[skill]
/// fn run(params: Params, resume: Option<Progress>, robot: &mut Robot) -> Result<Outcome, Failure> { … }
/// ```
#[proc_macro_attribute]
pub fn skill(arguments: TokenStream, item: TokenStream) -> TokenStream {
    declare(arguments, item, "skill", "a function", |tokens| {
        let mut tokens = tokens.iter();
        tokens.find(|token| is_word(token, "fn"))?;
        Some(tokens.next()?.to_string())
    })
}

/// Makes the type of an `impl Recovery for …` block the recovery of this crate.
#[proc_macro_attribute]
pub fn recovery(arguments: TokenStream, item: TokenStream) -> TokenStream {
    declare(
        arguments,
        item,
        "recovery",
        "an `impl Recovery for …` block",
        |tokens| {
            let mut tokens = tokens.iter();
            tokens.find(|token| is_word(token, "for"))?;
            let name: String = tokens
                .take_while(|token| {
                    !matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
                })
                .map(ToString::to_string)
                .collect();
            (!name.is_empty()).then_some(name)
        },
    )
}

fn declare(
    arguments: TokenStream,
    item: TokenStream,
    kind: &str,
    expected: &str,
    name_of: fn(&[TokenTree]) -> Option<String>,
) -> TokenStream {
    if !arguments.is_empty() {
        return error(&format!(
            "#[{kind}] takes no arguments: name, summary and imports belong into manifest.toml beside Cargo.toml"
        ));
    }
    let tokens: Vec<TokenTree> = item.clone().into_iter().collect();
    let Some(name) = name_of(&tokens) else {
        return error(&format!("#[{kind}] belongs on {expected}"));
    };
    let declaration: TokenStream = format!("::sinew_sdk::__declare_{kind}!({name});")
        .parse()
        .expect("an identifier or a path taken from valid tokens");
    item.into_iter().chain(declaration).collect()
}

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident.to_string() == word)
}

fn error(message: &str) -> TokenStream {
    format!("::core::compile_error!({message:?});")
        .parse()
        .expect("a string literal in a macro call")
}
