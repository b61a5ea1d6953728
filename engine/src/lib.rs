//! Judgement: scope, grants, baseline, detections, and the memory they need
