//! Observation to action chunk: manifests, normalisation, history, blending, confidence.
