"""Writes the [confidence] table of policy.toml from an evaluation.

    sinew policy eval grasp --seeds 20001..20150 --json eval.json
    python calibrate.py eval.json

Only runs that succeeded count. Needs nothing but Python.
"""
import json
import pathlib
import statistics
import sys

HERE = pathlib.Path(__file__).parent
SMOOTHING = 0.5
QUANTILES = 20
# Least usual disagreement: m, rad, share of the gripper channel.
SCALE_MIN = (0.001, 0.01, 0.05)
# A run ends as low-confidence where it is this much less consistent than any success was.
BEYOND_WORST = 2.0


def main():
    report = json.loads(pathlib.Path(sys.argv[1]).read_text())
    good = [run["disagreements"] for run in report["runs"] if run["succeeded"]]
    steps = [step for run in good for step in run]
    # Round parts have no yaw to disagree about, and the gripper channel mostly agrees exactly: floors keep a
    # median of next to nothing from drowning the rest.
    scales = [
        max(statistics.median(step[k] for step in steps), least)
        for k, least in enumerate(SCALE_MIN)
    ]
    worst = []
    for run in good:
        smoothed, highest = None, 1e-6
        for step in run:
            score = sum(value / scale for value, scale in zip(step, scales)) / 3.0
            smoothed = score if smoothed is None else smoothed + SMOOTHING * (score - smoothed)
            highest = max(highest, smoothed)
        worst.append(highest)
    worst.sort()
    quantiles = [worst[round(q / QUANTILES * (len(worst) - 1))] for q in range(QUANTILES + 1)]
    # Beyond the worst success confidence falls with the square of the score: see the host's confidence.rs.
    low = 0.5 / QUANTILES / BEYOND_WORST**2
    manifest = HERE / "policy.toml"
    head = manifest.read_text().partition("[confidence]\n")[0]
    rounded = ", ".join(f"{value:.6g}" for value in quantiles)
    manifest.write_text(
        f"""{head}[confidence]
position_m = {scales[0]:.6g}
yaw_rad = {scales[1]:.6g}
gripper = {scales[2]:.6g}
smoothing = {SMOOTHING}
worst_scores = [{rounded}]
low_below = {low:.6g}
"""
    )
    print(f"{len(good)} successful runs of {len(report['runs'])}, low below {low:.6g}")


if __name__ == "__main__":
    main()
