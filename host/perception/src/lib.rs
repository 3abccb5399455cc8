//! Frames to detections to tracked objects to world snapshots.
