//! Linkers, one for all plugins that import the same of WASI: most toolchains' guests do, and to make one is a good part of
//! loading a plugin that is compiled.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use wasmtime::component::Linker;

use crate::state::{RunState, lock};
use crate::wasi::Imports;

/// Linkers that are kept. A plugin can import whatever it likes; one that would be one more has its own.
const KEPT_MAX: usize = 16;

/// What plugins are linked with.
pub(crate) struct Linkers {
    capabilities: Linker<RunState>,
    kept: Mutex<BTreeMap<Imports, Arc<Linker<RunState>>>>,
}

impl Linkers {
    /// `capabilities` has everything but WASI.
    pub(crate) fn new(capabilities: Linker<RunState>) -> Self {
        Self {
            capabilities,
            kept: Mutex::default(),
        }
    }

    /// A linker for plugins with these imports.
    pub(crate) fn of(&self, imports: &Imports) -> wasmtime::Result<Arc<Linker<RunState>>> {
        if let Some(linker) = lock(&self.kept).get(imports) {
            return Ok(Arc::clone(linker));
        }
        let mut linker = self.capabilities.clone();
        imports.link(&mut linker)?;
        let linker = Arc::new(linker);
        let mut kept = lock(&self.kept);
        if kept.len() < KEPT_MAX {
            kept.insert(imports.clone(), Arc::clone(&linker));
        }
        Ok(linker)
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::Engine;

    use super::*;

    /// Whether it has that function: nothing can be linked twice.
    fn has(linker: &Linker<RunState>, imports: &Imports) -> bool {
        imports.link(&mut linker.clone()).is_err()
    }

    #[test]
    fn whoever_imports_the_same_has_the_same_linker_and_all_others_their_own() {
        let linkers = Linkers::new(Linker::new(&Engine::default()));
        let imports =
            |n: usize| Imports::of_function(&format!("wasi:odd/thing@0.2.{n}"), "do-nothing");
        let of = |n: usize| linkers.of(&imports(n)).expect("anything of WASI is linked");
        let first: Vec<_> = (0..KEPT_MAX + 3).map(of).collect();
        for (n, linker) in first.iter().enumerate() {
            let again = of(n);
            assert_eq!(Arc::ptr_eq(linker, &again), n < KEPT_MAX, "{n}");
            for one in [linker, &again] {
                assert!(has(one, &imports(n)) && !has(one, &imports(n + 1)), "{n}");
            }
        }
        let other = Imports::of_function("wasi:odd/thing@0.2.0", "do-something");
        let other_linker = linkers.of(&other).expect("anything of WASI is linked");
        assert!(has(&other_linker, &other) && !has(&first[0], &other));
    }
}
