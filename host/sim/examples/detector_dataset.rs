//! Writes labelled images for training the detector: `detector_dataset FOLDER SEED SCENES`.

use std::path::Path;

use sinew_description::RobotDescription;
use sinew_sim::CellConfig;
use sinew_sim::camera::dataset::{Sampler, export};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, seed, scenes] = arguments.as_slice() else {
        return Err("usage: detector_dataset FOLDER SEED SCENES".into());
    };
    let sampler = Sampler::new(CellConfig::builtin(), RobotDescription::builtin());
    export(&sampler, Path::new(folder), seed.parse()?, scenes.parse()?)?;
    Ok(())
}
