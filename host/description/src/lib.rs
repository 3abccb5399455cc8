//! The robot description file: joints, links, capsules, drives, gripper, cameras.
