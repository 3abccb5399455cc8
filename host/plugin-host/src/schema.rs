//! JSON against a plugin's schemas.

use jsonschema::Validator;
use serde_json::Value;

/// A compiled schema.
pub(crate) struct Schema(Validator);

impl Schema {
    /// Compiles; nothing is ever fetched from elsewhere.
    pub(crate) fn new(schema: &Value) -> Result<Self, String> {
        match jsonschema::validator_for(schema) {
            Ok(validator) => Ok(Self(validator)),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The JSON Pointer of the first value that is wrong (empty for the whole), and what is wrong with it.
    pub(crate) fn check(&self, value: &Value) -> Result<(), (String, String)> {
        match self.0.iter_errors(value).next() {
            None => Ok(()),
            Some(error) => Err((error.instance_path().to_string(), error.to_string())),
        }
    }
}
