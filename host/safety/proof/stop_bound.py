"""Proof that the stop of one joint stays inside the bounds that the gate uses (`../src/brake.rs`).

Run it: `python stop_bound.py`. Every lemma is a statement about real numbers whose negation z3 refutes.
README.md says how the lemmas make up the theorem, and what is not proved.

Units. With time in ticks (T = 1) and angle in J·T³, the jerk step d = J·T is 1. What is left of the constants is
`alpha = A/d`. The scaling is exact: v = v̂·d·T, a = â·d, q = q̂·d·T². So a statement for all `alpha > 0` is one for all
A, J, T > 0. Below, `b = -a` is the deceleration of a joint that moves up; moving down is the mirror image.
"""

import argparse
import math
import random
import sys
import time
from fractions import Fraction
from pathlib import Path

import z3

TIMEOUT_MS = 30_000
POINTS = Path(__file__).with_name("model_points.csv")
TICK_S = 0.001

# ---------------------------------------------------------------------------------------------------------------
# The formulas. Each works on z3 terms and on numbers; a name that ends in `_2a` is 2·alpha times the quantity,
# `_a` alpha times, `_2p` 2·p times, so that nothing is divided.


def frac(numerator, denominator=1):
    """A constant that is exact in z3 and in Python."""
    return Fraction(numerator, denominator)


def gain(a):
    """Speed that is still gained from acceleration a > 0, as the code bounds it."""
    return (a + 1) * (a + 1) / 2


def one_way_2a(v, a, alpha, terms=frozenset(("ticks", "speed", "jerk", "rise", "gain"))):
    """`one_way`, for a peak that is not negative. `terms` leaves some out, for claims that must fail."""
    rising = isinstance(a, z3.ExprRef) or a > 0
    rise = a + 1 if rising and "rise" in terms else 0
    peak = v + (gain(a) if rising and "gain" in terms else 0)
    ticks = 2 if "ticks" in terms else 0
    speed = peak if "speed" in terms else 0
    jerk = alpha * alpha if "jerk" in terms else 0
    return peak * (2 * alpha * (rise + ticks) + speed + jerk)


def falling_way_2a(v, alpha, terms=frozenset(("ticks", "speed", "jerk"))):
    """`one_way` for a joint that moves up and does not accelerate."""
    return one_way_2a(v, 0, alpha, terms)


def longest_a(speed, gaining, alpha):
    """`longest_s` in ticks."""
    return alpha * (gaining + 1 + 2 * alpha + 2) + speed + gaining * (gaining + 1)


# The potential: a bound on the way that is left, one for each phase of the stop.


def ramp(x):
    """Deceleration is being given back; `x` is the ramp's first term."""
    return x * x * x / 6


def steady_2a(v, alpha):
    """Deceleration is at the stop's, or beyond it and coming back."""
    return v * v - alpha * v + alpha * alpha * alpha * alpha / 12 + alpha * alpha / 2


def peak_of(v, b):
    """v + b(b+1)/2: stays the same while the deceleration rises by 1 each tick."""
    return v + b * (b + 1) / 2


def wide_peak(v, b):
    """The same with room for a ramp whose terms are no whole numbers."""
    return peak_of(v, b) + frac(1, 8)


def rise_with(v, b, constant):
    """Deceleration is being taken up, with any constant: exact along the rise."""
    return constant - peak_of(v, b) * b + b * (b + 1) * (b + 2) / 6 + frac(1, 4)


def rise_2p(v, b, p):
    """The same with the constant U²/2p + U·p/2, U the wide peak; `p` is free, up to alpha."""
    wide = wide_peak(v, b)
    return wide * wide + p * p * wide + 2 * p * rise_with(v, b, 0)


def steady_ticks_a(v, alpha):
    """Ticks left while the deceleration is steady."""
    return v + alpha * alpha / 2 + 2 * alpha


def rise_ticks_a(v, b, alpha):
    """Ticks left while the deceleration is taken up."""
    return wide_peak(v, b) + alpha * alpha + alpha * (frac(3, 2) - b)


# ---------------------------------------------------------------------------------------------------------------
# Terms

alpha, v, w, x, y, a, b, p, r, e, s, grown, before, after = z3.Reals(
    "alpha v w x y a b p r e s grown before after"
)
m, n = z3.Reals("m n")


def high(one, other):
    return z3.If(one >= other, one, other)


def low(one, other):
    return z3.If(one <= other, one, other)


def clamp(value, least, most):
    """`value.max(least).min(most)`"""
    return low(high(value, least), most)


def law_b(b, x, alpha):
    """b' of the law for v > 0: the wanted deceleration, at most one step away."""
    return clamp(low(x, alpha), b - 1, b + 1)


def is_ramp(v, x):
    """x is the first term of the ramp from speed v >= 0, or 0 at rest: what lemmas `ramp-*` say about it."""
    return z3.And(
        x >= 0,
        2 * v >= x * (x + 1),
        8 * v <= 4 * x * (x + 1) + 1,
        z3.Implies(x <= 1, v == x),
        z3.Implies(x >= 1, v >= x),
    )


def is_next(v, x, w, y):
    """How the ramps x of v and y of w, two speeds, are ordered: what lemma `ramp-order` says about it."""
    return z3.And(
        z3.Implies(z3.And(w > 0, w <= v - x), z3.And(x > 1, y <= x - 1)),
        z3.Implies(z3.And(x >= 1, w >= v - x), y >= x - 1),
    )


LEMMAS = []


def lemma(name, words, given, *claims):
    LEMMAS.append((name, words, given, claims))


def powers(difference, variable, coefficients):
    """Claims that together say difference >= 0 for variable >= 0 (lemma `powers`)."""
    total = sum(c * variable**k for k, c in enumerate(coefficients[1:], 1)) + coefficients[0]
    return [difference == total, *(c >= 0 for c in coefficients)]


# ---------------------------------------------------------------------------------------------------------------
# Arithmetic that others use

c0, c1, c2 = z3.Reals("c0 c1 c2")
lemma(
    "powers",
    "A sum of products of numbers that are not negative is not negative.",
    [c0 >= 0, c1 >= 0, c2 >= 0, e >= 0],
    c0 + c1 * e + c2 * e * e >= 0,
)
lemma(
    "means",
    "U²/2p + U·p/2 >= U^(3/2) for every p > 0; r is the root of U.",
    [p > 0, r >= 0],
    r**4 + p * p * r * r >= 2 * p * r**3,
)
lemma(
    "less-alpha",
    "For p <= alpha and v <= p² the code's v(v/alpha + alpha)/2 is at least v(v/p + p)/2.",
    [p > 0, p <= alpha, v >= 0, v <= p * p],
    p * falling_way_2a(v, alpha) >= alpha * falling_way_2a(v, p),
)

# ---------------------------------------------------------------------------------------------------------------
# The ramp. x(v) = v/m + (m-1)/2, m the number of terms; v = S(x) = m·x - m(m-1)/2.


def terms_of(v, x, m):
    return z3.And(m >= 1, m - 1 < x, x <= m, v == m * x - m * (m - 1) / 2)


lemma(
    "ramp-terms",
    "m = ceil(r), r(r+1)/2 = v, is the number of terms: m-1 < x <= m, and they add up to v.",
    [r > 0, r * (r + 1) == 2 * v, m >= 1, m - 1 < r, r <= m, x == v / m + (m - 1) / 2],
    m - 1 < x,
    x <= m,
    v == m * x - m * (m - 1) / 2,
)
lemma(
    "ramp-between",
    "x(x+1)/2 <= v <= x(x+1)/2 + 1/8; a ramp of one term is v itself; longer ones add up to more than a term.",
    [terms_of(v, x, m), z3.Or(m == 1, m >= 2)],
    2 * v >= x * (x + 1),
    8 * v <= 4 * x * (x + 1) + 1,
    z3.Implies(x <= 1, v == x),
    z3.Implies(x >= 1, v >= x),
)
lemma(
    "ramp-tail",
    "After its first term the ramp is that of one term less: S(x) - x = S(x-1); after the only one it is over.",
    [terms_of(v, x, m), z3.Or(m == 1, m >= 2)],
    z3.Implies(m == 1, v - x == 0),
    z3.Implies(m >= 2, terms_of(v - x, x - 1, m - 1)),
)
lemma(
    "ramp-order",
    "`is_next`: at most the tail's speed needs at most the tail's ramp, at least its speed at least it. m and n, the "
    "numbers of terms, are whole.",
    [
        terms_of(v, x, m),
        terms_of(w, y, n),
        z3.Or(m == 1, m >= 2),
        z3.Or(n <= m - 2, n == m - 1, n == m, n >= m + 1),
    ],
    z3.Implies(w <= v - x, x > 1),
    z3.Implies(w <= v - x, y <= x - 1),
    z3.Implies(w >= v - x, y >= x - 1),
)
lemma(
    "far",
    "Above `ramp_velocity` (n >= alpha+1 terms) the ramp would start beyond alpha: it cannot have begun.",
    [alpha > 0, terms_of(v, x, m), n >= alpha + 1, v > n * (n + 1) / 2],
    x > alpha,
)

# ---------------------------------------------------------------------------------------------------------------
# The law

far = z3.Bool("far")
wanted = z3.If(far, -alpha, -x)
cap = high(alpha, high(a, -a) - 1)
chosen = clamp(clamp(wanted, a - 1, a + 1), -cap, cap)
lemma(
    "law",
    "`next_acceleration` for v >= 0, with its clamps in the code's order, is -b', b' = law_b; at v = 0, x is 0.",
    [alpha > 0, x >= 0, z3.Implies(far, x > alpha)],
    chosen == -law_b(-a, x, alpha),
)
lemma(
    "limits",
    "Each tick keeps the jerk limit, and the stop's acceleration or what is left of a higher one.",
    [alpha > 0, x >= 0],
    law_b(b, x, alpha) - b <= 1,
    law_b(b, x, alpha) - b >= -1,
    high(law_b(b, x, alpha), -law_b(b, x, alpha)) <= high(alpha, high(b, -b) - 1),
)
lemma(
    "rest",
    "At v = 0 with |a| <= 1 the next tick is at rest: also after `step` has taken a speed below REST_RAD_S for none.",
    [a <= 1, a >= -1],
    clamp(z3.RealVal(0), a - 1, a + 1) == 0,
)

# ---------------------------------------------------------------------------------------------------------------
# The phases, seen by a joint that may move up. For v > 0, x = x(v); for v <= 0, x = x(-v).
#   land    v > 0, b' >= x      it stops in this ramp, or passes through and moves down
#   steady  v > 0, b' < x, b >= alpha-1
#   rise    v > 0, b' < x, b < alpha-1, or v <= 0 and a > 1 + x: it will come up
#   down    v <= 0, a <= 1 + x  it stays down


def lands(v, b, x, alpha):
    return z3.And(v > 0, law_b(b, x, alpha) >= x)


def is_steady(v, b, x, alpha):
    return z3.And(v > 0, law_b(b, x, alpha) < x, b >= alpha - 1)


def rises(v, b, x, alpha):
    moving_up = z3.And(v > 0, law_b(b, x, alpha) < x, b < alpha - 1)
    return z3.Or(moving_up, z3.And(v <= 0, -b > 1 + x))


def is_down(v, b, x):
    return z3.And(v <= 0, -b <= 1 + x)


def speed(v):
    return high(v, -v)


ONWARD = law_b(b, x, alpha)
UP = [alpha > 0, v > 0, is_ramp(v, x), x > 0, w == v - ONWARD, is_ramp(speed(w), y)]
# For v <= 0 the law wants +min(x, alpha).
HELD = -clamp(low(x, alpha), -b - 1, -b + 1)
BELOW = [alpha > 0, v <= 0, is_ramp(-v, x), w == v - HELD, is_ramp(speed(w), y)]
# Where the ramp is entered from a rise.
MEETS = z3.And(y <= alpha, y > b - 1, y <= b + 1)

lemma(
    "phases-land",
    "land goes on to land, its ramp at least one term shorter, or to down.",
    [*UP, is_next(v, x, w, y), lands(v, b, x, alpha)],
    z3.Or(z3.And(w <= 0, ONWARD > 0), z3.And(lands(w, ONWARD, y, alpha), y <= x - 1)),
    z3.Implies(w <= 0, is_down(w, ONWARD, y)),
)
lemma(
    "phases-steady",
    "steady decelerates by alpha or more, and goes on to steady, or to land with a ramp of alpha-1 to alpha.",
    [*UP, is_next(v, x, w, y), is_steady(v, b, x, alpha)],
    z3.And(ONWARD >= alpha, w > 0),
    z3.Or(
        is_steady(w, ONWARD, y, alpha),
        z3.And(lands(w, ONWARD, y, alpha), y > alpha - 1, y <= alpha),
    ),
)
lemma(
    "phases-rise",
    "rise at v > 0 takes b up by 1, to less than alpha, and goes on to rise, to steady, or to land where MEETS says.",
    [*UP, is_next(v, x, w, y), rises(v, b, x, alpha)],
    z3.And(ONWARD == b + 1, ONWARD < alpha, w > 0),
    z3.Or(
        rises(w, b + 1, y, alpha),
        is_steady(w, b + 1, y, alpha),
        z3.And(lands(w, b + 1, y, alpha), z3.substitute(MEETS, (b, b + 1))),
    ),
)
lemma(
    "phases-rise-below",
    "rise at v <= 0 takes b up by 1; once it comes up, that is so as in `phases-rise`.",
    [*BELOW, rises(v, b, x, alpha)],
    z3.And(HELD == b + 1, HELD < 0),
    z3.Implies(
        w > 0,
        z3.Or(
            rises(w, b + 1, y, alpha),
            z3.And(is_steady(w, b + 1, y, alpha), b + 1 < alpha),
            z3.And(lands(w, b + 1, y, alpha), z3.substitute(MEETS, (b, b + 1))),
        ),
    ),
)
lemma(
    "phases-down",
    "down stays down: a joint that moves down, and does not accelerate up beyond its ramp, never comes up.",
    [*BELOW, is_next(-v, x, -w, y), z3.Implies(v == 0, x == 0), is_down(v, b, x)],
    z3.And(w <= 0, is_down(w, HELD, y)),
)

# ---------------------------------------------------------------------------------------------------------------
# The potential falls by at least the tick's way: V(v, a) >= v' + V(v', a'), and V >= 0.

RAMP = [v > 0, x > 0, is_ramp(v, x)]
lemma(
    "way-land",
    "ramp(x) >= v' + ramp(x') for x' <= x-1.",
    [y > 0, y <= x - 1, is_ramp(w, y)],
    ramp(x) >= w + ramp(y),
)
lemma(
    "way-steady",
    "steady(v) >= v' + steady(v') where the deceleration is alpha or more.",
    [alpha > 0, b >= alpha, v > b],
    steady_2a(v, alpha) >= 2 * alpha * (v - b) + steady_2a(v - b, alpha),
)
lemma(
    "way-steady-land",
    "steady >= ramp where steady goes on to land.",
    [*RAMP, alpha > 0, x > alpha - 1, x <= alpha],
    steady_2a(v, alpha) >= 2 * alpha * ramp(x),
)
lemma(
    "way-sign",
    "Where rise moves down, 0 or rise, whichever is more, does not grow by less than the way: it may be below 0 there.",
    [e == w + c0, w <= 0],
    high(z3.RealVal(0), e) >= w + high(z3.RealVal(0), c0),
)
lemma("way-steady-sign", "steady >= 0.", [*RAMP, alpha > 0, x > alpha], steady_2a(v, alpha) >= 0)
lemma(
    "way-rise",
    "rise(v, b) = v' + rise(v', b+1), whatever p, which stays the same.",
    [p > 0],
    rise_2p(v, b, p) == 2 * p * (v - b - 1) + rise_2p(v - b - 1, b + 1, p),
)
SLOPE = (alpha - b) * (alpha - b) + alpha + b + frac(1, 4)


def over_steady(v):
    return rise_2p(v, b, alpha) - steady_2a(v, alpha)


lemma(
    "way-rise-steady",
    "rise >= steady where rise goes on to steady and p = alpha. Speed there is at least alpha(alpha+1)/2: e is the rest.",
    [alpha > 0, b >= alpha - 1, b < alpha, e >= 0],
    *powers(
        over_steady(alpha * (alpha + 1) / 2 + e),
        e,
        (over_steady(alpha * (alpha + 1) / 2), SLOPE),
    ),
)
lemma(
    "way-rise-steady-p",
    "Where rise goes on to steady with b >= 0, U > alpha²: a p with p² = U < alpha² does not get there.",
    [*RAMP, alpha > 0, x > alpha, b >= alpha - 1, b >= 0],
    wide_peak(v, b) > alpha * alpha,
)
lemma(
    "way-rise-land-below",
    "rise >= ramp where rise goes on to land while a > 0; by `means` for every p.",
    [*RAMP, r >= 0, r * r == wide_peak(v, b), b >= x - 1, b <= 0],
    rise_with(v, b, r**3) >= ramp(x),
)
lemma(
    "way-rise-land-speed",
    "Where b >= 0, the rise of the speed v is at least that of the lower speed x(x+1)/2.",
    [*RAMP, b >= x - 1, b <= x + 1, b >= 0]
    + [r >= 0, r * r == wide_peak(v, b), s >= 0, s * s == wide_peak(x * (x + 1) / 2, b)],
    rise_with(v, b, r**3) >= rise_with(x * (x + 1) / 2, b, s**3),
)
lemma(
    "way-rise-land-root",
    "There the root of U is at least (x+b)/2 + 7/20.",
    [x > 0, b >= x - 1, b <= x + 1, b >= 0, s >= 0, s * s == wide_peak(x * (x + 1) / 2, b)],
    s >= (x + b) / 2 + frac(7, 20),
)
lemma(
    "way-rise-land",
    "rise >= ramp where rise goes on to land and b >= 0; with `means` and the two lemmas before it.",
    [x > 0, b >= x - 1, b <= x + 1, b >= 0],
    rise_with(
        x * (x + 1) / 2, b, wide_peak(x * (x + 1) / 2, b) * ((x + b) / 2 + frac(7, 20))
    )
    >= ramp(x),
)
lemma(
    "way-rise-sign-early",
    "rise >= 0 for v > 0, b <= -1.",
    [p > 0, v > 0, b <= -1],
    rise_2p(v, b, p) >= 0,
)
lemma(
    "way-rise-sign-turn",
    "rise >= 0 for v > 0, -1 <= b <= 0; with `means`.",
    [*RAMP, r >= 0, r * r == wide_peak(v, b), b + 1 < x, b <= 0, b >= -1],
    rise_with(v, b, r**3) >= 0,
)
lemma(
    "way-rise-sign",
    "rise >= 0 for v > 0, b >= 0.",
    [*RAMP, p > 0, b + 1 < x, b >= 0],
    rise_2p(v, b, p) >= 0,
)

# ---------------------------------------------------------------------------------------------------------------
# The code's bound is not below the potential at any state.

lemma(
    "bound-land",
    "ramp(x) <= v(2 + sqrt v), which by `means` is at most the code's bound.",
    [*RAMP, r > 0, r * r == v],
    ramp(x) <= v * (2 + r),
)
lemma(
    "bound-means",
    "v(2 + sqrt v) is at most the code's bound.",
    [alpha > 0, r > 0],
    2 * alpha * r * r * (2 + r) <= falling_way_2a(r * r, alpha),
)
lemma(
    "bound-steady",
    "steady(v) <= the code's bound without acceleration.",
    [*RAMP, alpha > 0, x > alpha],
    steady_2a(v, alpha) <= falling_way_2a(v, alpha),
)
lemma(
    "bound-gain",
    "An acceleration up only adds to the code's bound.",
    [alpha > 0, v > 0, a > 0],
    falling_way_2a(v, alpha) <= one_way_2a(v, a, alpha),
)
lemma(
    "bound-rise-below",
    "rise <= the code's bound for a joint that will come up, with p = alpha; the bound is then not 0.",
    [alpha > 0, a > 1, v <= 0, is_ramp(-v, x), a > 1 + x],
    v >= -(a * (a - 1) / 2 + frac(1, 8)),
    v + gain(a) > 0,
)
lemma(
    "bound-rise-below-way",
    "The same, the way.",
    [alpha > 0, a > 1, v <= 0, v >= -(a * (a - 1) / 2 + frac(1, 8))],
    rise_2p(v, -a, alpha) <= one_way_2a(v, a, alpha),
)
lemma(
    "bound-rise-gaining",
    "rise <= the code's bound for a > 0, v > 0, with p = alpha.",
    [alpha > 0, a > 0, v > 0],
    rise_2p(v, -a, alpha) <= one_way_2a(v, a, alpha),
)
lemma(
    "bound-rise",
    "rise <= v(v/p + p)/2 + 2v for b >= 0 and p² = U; with `less-alpha` the code's bound, where U < alpha².",
    [p > 0, b >= 0, b <= p - 1, v == p * p - frac(1, 8) - b * (b + 1) / 2, v > 0],
    rise_2p(v, b, p) <= falling_way_2a(v, p),
)
lemma(
    "bound-rise-p",
    "`bound-rise` has b <= p-1: the ramp is not below b+1 yet.",
    [*RAMP, p > 0, b >= 0, b + 1 < x, wide_peak(v, b) == p * p],
    b <= p - 1,
    v <= p * p,
)
LEAST = alpha * alpha - frac(1, 8) - b * (b + 1) / 2


def under_bound(v):
    return falling_way_2a(v, alpha) - rise_2p(v, b, alpha)


lemma(
    "bound-rise-alpha",
    "For U >= alpha² and p = alpha: e is the speed above the one with U = alpha², where it is `bound-rise`.",
    [alpha > 0, b >= 0, b <= alpha - 1, e >= 0],
    *powers(
        under_bound(LEAST + e),
        e,
        (under_bound(LEAST), 4 * alpha + 2 * alpha * b - b * (b + 1) - frac(1, 4)),
    ),
)

# ---------------------------------------------------------------------------------------------------------------
# The stop ends. Ticks left, by phase: x+2 in land, then steady_ticks, rise_ticks; each falls by 1 or more.

lemma(
    "ticks-steady",
    "steady_ticks falls by 1 or more.",
    [alpha > 0, b >= alpha, v > b],
    steady_ticks_a(v, alpha) >= alpha + steady_ticks_a(v - b, alpha),
)
lemma(
    "ticks-steady-land",
    "steady_ticks is enough for the ramp.",
    [*RAMP, alpha > 0, x > alpha - 1, x <= alpha],
    steady_ticks_a(v, alpha) >= alpha * (x + 2),
)
lemma(
    "ticks-rise",
    "rise_ticks falls by 1.",
    [alpha > 0],
    rise_ticks_a(v, b, alpha) == alpha + rise_ticks_a(v - b - 1, b + 1, alpha),
)
lemma(
    "ticks-rise-steady",
    "rise_ticks is enough for steady_ticks.",
    [alpha > 0, b >= alpha - 1, b < alpha, v > 0],
    rise_ticks_a(v, b, alpha) >= steady_ticks_a(v, alpha),
)
lemma(
    "ticks-rise-land",
    "rise_ticks is enough for the ramp.",
    [*RAMP, b >= x - 1, b <= x + 1, x <= alpha],
    z3.Implies(b >= 0, rise_ticks_a(v, b, alpha) >= alpha * (x + 2)),
    z3.Implies(b <= 0, rise_ticks_a(v, b, alpha) >= alpha * (x + 2)),
)
lemma(
    "ticks-bound",
    "`longest_s` is not below any of them for a joint that does not decelerate.",
    [alpha > 0, v >= 0, a >= 0, is_ramp(v, x)],
    z3.Implies(1 - a < alpha, rise_ticks_a(v, -a, alpha) <= longest_a(v, a, alpha)),
    steady_ticks_a(v, alpha) <= longest_a(v, a, alpha),
    alpha * (x + 2) <= longest_a(v, a, alpha),
)
lemma(
    "ticks-passing",
    "A joint that decelerates too hard to stop in its ramp has b fall by 1 each tick, and lands from the other side.",
    [*UP, is_next(v, x, w, y), b - 1 > x],
    ONWARD <= b - 1,
    z3.Implies(w <= 0, z3.And(ONWARD > 0, -(ONWARD) - 1 <= y)),
)
lemma(
    "ticks-landing",
    "A joint that does not, never will; in land it follows its ramp to rest.",
    [*UP, is_next(v, x, w, y), b - 1 <= x],
    z3.Or(w > 0, z3.And(w == 0, ONWARD <= 1, ONWARD >= -1)),
    z3.Implies(w > 0, ONWARD - 1 <= y),
    z3.Implies(lands(v, b, x, alpha), ONWARD == x),
)

# ---------------------------------------------------------------------------------------------------------------
# The fastest that the joint gets: `peak_speed`.


def fastest(v, a):
    """A bound on the speed up, for a joint that is not down."""
    return v + high(a, z3.RealVal(0)) * high(a, z3.RealVal(0)) / 2


lemma(
    "speed-up",
    "Neither v' nor the bound after a tick is above the bound before it, for v > 0 and for rise.",
    [alpha > 0, x > 0],
    v - ONWARD <= fastest(v, -b),
    fastest(v - ONWARD, -ONWARD) <= fastest(v, -b),
    z3.Implies(b < -1, fastest(v - b - 1, -b - 1) <= fastest(v, -b)),
    z3.Implies(b < -1, v - b - 1 <= fastest(v, -b)),
)
lemma(
    "speed-bound",
    "`peak_speed` is not below either direction's bound.",
    [v >= 0],
    z3.Implies(a >= 0, fastest(v, a) <= v + gain(a)),
    z3.Implies(a < 0, high(fastest(v, a), fastest(-v, -a)) <= high(v, gain(-a) - v)),
)
lemma(
    "speed-reaction",
    "With `late::drift` it is not below them after the reaction time either, for a joint that does not decelerate; "
    "`grown` is |a|·L.",
    [v >= 0, grown >= 0, a >= 0],
    fastest(v + grown, a) <= v + gain(a) + grown,
)

# ---------------------------------------------------------------------------------------------------------------
# The reaction time. For L ticks the joint keeps a; `grown` = a·L is what its speed rises by, and the way in them is
# L·v + a·L(L+1)/2, which is grown/2 more than the L(v + grown/2) of the code.


def late_2a(v, a, grown):
    """The code's bound for a > 0, v >= 0, less L(v + grown/2) and less grown/2."""
    return (
        one_way_2a(v, a, alpha) + 2 * grown * longest_a(v + grown, a, alpha) - alpha * grown
    )


def powers_2(difference, one, other, coefficients):
    """As `powers`, in two variables: constant, one, other, one·other, other², one²."""
    k0, k1, k2, k12, k22, k11 = coefficients
    total = k0 + k1 * one + k2 * other + k12 * one * other + k22 * other**2 + k11 * one**2
    return [difference == total, *(k >= 0 for k in coefficients)]


lemma(
    "late-rise",
    "Gaining, v >= 0: the code's bound covers the late stop that starts in rise.",
    [alpha > 0, a > 0, 1 - a < alpha],
    *powers_2(
        late_2a(v, a, grown) - rise_2p(v + grown, -a, alpha),
        v,
        grown,
        (
            late_2a(0, a, 0) - rise_2p(z3.RealVal(0), -a, alpha),
            6 * alpha + 3 * a + frac(3, 4),
            5 * alpha + 3 * alpha * alpha + a * a + 3 * a - frac(1, 4),
            z3.RealVal(0),
            z3.RealVal(1),
            z3.RealVal(0),
        ),
    ),
)
lemma(
    "late-steady",
    "The same in steady.",
    [alpha > 0, a > 0, a <= 1 - alpha],
    *powers_2(
        late_2a(v, a, grown) - steady_2a(v + grown, alpha),
        v,
        grown,
        (
            late_2a(0, a, 0) - steady_2a(z3.RealVal(0), alpha),
            2 * gain(a) + 2 * alpha * (a + 3) + alpha * alpha + alpha,
            2 * alpha * (a + 3 + 2 * alpha) + 2 * a * a + 2 * a,
            z3.RealVal(0),
            z3.RealVal(1),
            z3.RealVal(0),
        ),
    ),
)
lemma(
    "late-land",
    "The same in land, where a ramp is at most 1-a, so that ramp <= x/6 and x = v + grown.",
    [alpha > 0, a > 0, a < 1],
    *powers_2(
        late_2a(v, a, grown) - alpha * (v + grown) / 3,
        v,
        grown,
        (
            late_2a(0, a, 0),
            2 * gain(a) + 2 * alpha * (a + 3) + alpha * alpha - alpha / 3,
            2 * alpha * (a + 3 + 2 * alpha) + 2 * a * a + 2 * a - alpha * frac(4, 3),
            z3.RealVal(2),
            z3.RealVal(2),
            z3.RealVal(1),
        ),
    ),
)
lemma("late-land-ramp", "ramp(x) <= x/6 for x <= 1.", [x > 0, x <= 1], ramp(x) <= x / 6)
lemma(
    "late-more",
    "The code's bound grows with the reaction time: it covers a stop that comes earlier too.",
    [alpha > 0, a >= 0, v >= 0, w >= v],
    longest_a(w, a, alpha) >= longest_a(v, a, alpha),
)
lemma(
    "late-falling",
    "Decelerating, v > 0: L·v covers the way in L ticks, and the bound from what speed is left is no larger.",
    [alpha > 0, v > 0, b >= 0, n >= 0, w >= 0, w <= v],
    n * v - b * n * (n + 1) / 2 <= n * v,
    falling_way_2a(w, alpha) <= falling_way_2a(v, alpha),
)

# Turning: it moves down and accelerates up, at v = -s; e = v + grown is its speed after L ticks.
# What the bound lacks or has over the one for v = 0: s(s + 3·alpha² - alpha + 2e + a² - 1).
CHEAPER = 3 * alpha * alpha - alpha + a * a - 1
TURNED = gain(a) - s


def turned_2a():
    """The code's bound, less its L·e/2 and less grown/2, where the peak is not below 0 before."""
    return (
        TURNED * (2 * alpha * (a + 3) + TURNED + alpha * alpha)
        + 2 * (e + s) * longest_a(e, a, alpha)
        - alpha * (e + s)
    )


lemma(
    "turn-form",
    "The code's bound for a joint that turns round, by that for one that starts at rest, where the peak is not below 0.",
    [],
    turned_2a() == late_2a(0, a, e) + s * (s + CHEAPER + 2 * e),
)
lemma(
    "turn-least",
    "s(s + c + 2e) >= -c²/4 for c < 0, and >= 0 else.",
    [s >= 0, e >= 0],
    z3.Implies(c0 < 0, 4 * s * (s + c0 + 2 * e) >= -c0 * c0),
    z3.Implies(c0 >= 0, s * (s + c0 + 2 * e) >= 0),
)
for phase, given, left in (
    ("rise", [1 - a < alpha], rise_2p(z3.RealVal(0), -a, alpha)),
    ("steady", [a <= 1 - alpha], steady_2a(z3.RealVal(0), alpha)),
):
    lemma(
        f"turn-{phase}",
        f"The constant of `late-{phase}` leaves that much, so that the late stop in {phase} is covered.",
        [alpha > 0, a > 0, CHEAPER < 0, *given],
        4 * (late_2a(0, a, 0) - left) >= CHEAPER * CHEAPER,
    )
lemma(
    "turn-land",
    "And in land; e is what the bound has over its constant.",
    [alpha > 0, a > 0, a < 1],
    *powers(
        late_2a(0, a, e) - alpha * e / 3,
        e,
        (
            late_2a(0, a, 0),
            2 * alpha * (a + 3 + 2 * alpha) + 2 * a * a + 2 * a - alpha * frac(4, 3),
            z3.RealVal(2),
        ),
    ),
    z3.Implies(CHEAPER < 0, 4 * late_2a(0, a, 0) >= CHEAPER * CHEAPER),
)


def all_new_2a(e):
    """The code's bound where the peak was below 0: all of it is new."""
    return 2 * (e + gain(a)) * longest_a(e, a, alpha)


lemma(
    "turn-new-excess",
    "Where the peak was below 0, the way in the L ticks is at most the code's L·e/2.",
    [a > 0, v < 0, v + gain(a) < 0],
    v + a <= 0,
)
lemma(
    "turn-new-rise",
    "There the late stop in rise is covered.",
    [alpha > 0, a > 0, 1 - a < alpha, e >= 0],
    *powers(
        all_new_2a(e) - rise_2p(e, -a, alpha),
        e,
        (
            all_new_2a(0) - rise_2p(z3.RealVal(0), -a, alpha),
            2 * alpha * (3 + 2 * alpha) - alpha * alpha + 2 * a * a + 5 * a + frac(3, 4),
            z3.RealVal(1),
        ),
    ),
)
lemma(
    "turn-new-steady",
    "And in steady.",
    [alpha > 0, a > 0, a <= 1 - alpha, e >= 0],
    *powers(
        all_new_2a(e) - steady_2a(e, alpha),
        e,
        (
            all_new_2a(0) - steady_2a(z3.RealVal(0), alpha),
            2 * alpha * (a + 3 + 2 * alpha) + 2 * a * a + 2 * a + 2 * gain(a) + alpha,
            z3.RealVal(1),
        ),
    ),
)
lemma(
    "turn-new-land",
    "And in land.",
    [alpha > 0, a > 0, a < 1, e > 0, e <= 1 - a],
    2 * alpha * ramp(e) <= all_new_2a(e),
)
LATE = e + gain(a)
lemma(
    "turn-below",
    "It still moves down after L ticks: the code's bound covers that from there.",
    [alpha > 0, a > 1, e <= 0, grown >= a, LATE > 0],
    z3.Implies(
        LATE >= grown,
        one_way_2a(e, a, alpha)
        <= (LATE - grown) * (2 * alpha * (a + 3) + LATE - grown + alpha * alpha)
        + 2 * grown * longest_a(0, a, alpha),
    ),
    z3.Implies(
        LATE < grown,
        one_way_2a(e, a, alpha) <= 2 * LATE * longest_a(0, a, alpha),
    ),
)

# ---------------------------------------------------------------------------------------------------------------
# The step is inductive. H is the limit less the following error.

here, there, limit, left, left_after, way, farther = z3.Reals(
    "here there limit left left_after way farther"
)
lemma(
    "step-braked",
    "q + V <= H before a tick of the stop gives q' + V' <= H after it, and q' <= H.",
    [here + left <= limit, left >= w + left_after, left_after >= 0, there == here + w],
    there + left_after <= limit,
    there <= limit,
)
lemma(
    "step-accepted",
    "A candidate that `check_joint` accepted has q + V <= H: its bound is not below V (`bound-*`).",
    [there + way + farther <= limit, farther >= 0, way >= left, left >= 0],
    there + left <= limit,
)

# ---------------------------------------------------------------------------------------------------------------
# Claims that are not so: the check would be worth nothing if it let them pass.

WRONG = []


def wrong(name, words, given, claim):
    WRONG.append((name, words, given, claim))


def without(term):
    return frozenset(("ticks", "speed", "jerk", "rise", "gain")) - {term}


wrong(
    "no-ticks",
    "`bound-rise` without the two ticks.",
    [p > 0, b >= 0, b <= p - 1, v == p * p - frac(1, 8) - b * (b + 1) / 2, v > 0],
    rise_2p(v, b, p) <= falling_way_2a(v, p, without("ticks")),
)
for term in ("jerk", "speed"):
    wrong(
        f"no-{term}",
        f"`bound-steady` without the term of {term}.",
        [*RAMP, alpha > 0, x > alpha],
        steady_2a(v, alpha) <= falling_way_2a(v, alpha, without(term)),
    )
for term in ("rise", "gain"):
    wrong(
        f"no-{term}",
        f"`bound-rise-gaining` without the {term}.",
        [alpha > 0, a > 0, v > 0],
        rise_2p(v, -a, alpha) <= one_way_2a(v, a, alpha, without(term)),
    )
wrong(
    "slow-brake",
    "`way-rise` with a drive that takes up half the jerk.",
    [p > 0],
    rise_2p(v, b, p) >= 2 * p * (v - b - frac(1, 2)) + rise_2p(v - b - frac(1, 2), b + frac(1, 2), p),
)
wrong(
    "weak-brake",
    "`way-steady` with a deceleration of 9/10 alpha.",
    [alpha > 0, b >= alpha * frac(9, 10), v > b],
    steady_2a(v, alpha) >= 2 * alpha * (v - b) + steady_2a(v - b, alpha),
)
wrong(
    "short-stop",
    "`ticks-bound` without the time that the jerk takes.",
    [alpha > 0, v >= 0],
    rise_ticks_a(v, 0, alpha) <= longest_a(v, 0, alpha) - 2 * alpha * alpha,
)
wrong(
    "late-at-once",
    "`late-rise` without what the higher speed adds to the stop.",
    [alpha > 0, a > 0, 1 - a < alpha, v >= 0, grown >= 0],
    rise_2p(v + grown, -a, alpha) <= one_way_2a(v, a, alpha),
)
wrong(
    "never-turns",
    "`turn-below` for a joint that is taken not to turn round.",
    [alpha > 0, a > 1, e <= 0, grown >= a, LATE > 0, LATE < grown],
    one_way_2a(e, a, alpha) <= 0,
)

# ---------------------------------------------------------------------------------------------------------------
# The same formulas with numbers: what `../src/brake.rs` is compared with, and whole stops, to check the chain of
# lemmas itself. `number` is exact with fractions.


def first_term(v):
    """x(v), v >= 0."""
    if v == 0:
        return 0 * v
    m = max(1, math.isqrt(math.floor(2 * v)) - 1)
    while m * (m + 1) < 2 * v:
        m += 1
    return v / m + frac(m - 1, 2) if isinstance(v, Fraction) else v / m + (m - 1) / 2


def tick(v, a, alpha):
    """One tick of the law, without the speed that counts as none."""
    if v < 0:
        speed_up, acceleration_up = tick(-v, -a, alpha)
        return -speed_up, -acceleration_up
    x = first_term(v)
    b = min(max(min(x, alpha), -a - 1), -a + 1)
    return v - b, -b


def one_way(v, a, alpha, terms=frozenset(("ticks", "speed", "jerk", "rise", "gain"))):
    rising = a > 0 and "gain" in terms
    if v + (gain(a) if rising else 0) <= 0:
        return 0 * v
    return one_way_2a(v, a, alpha, terms) / (2 * alpha)


def farther(v, a, alpha, ticks):
    """`late::ways`, up."""
    a = max(a, 0 * a)
    gained = a * ticks
    last = max(v + gained, 0 * v)
    longest = longest_a(last, a, alpha) / alpha
    if v >= 0:
        return ticks * (v + gained / 2) + gained * longest
    return ticks * last / 2 + min(max(v + gained + gain(a), 0 * v), gained) * longest


def peak_speed(v, a):
    if v * a < 0 or (a == 0 and v != 0):
        return max(abs(v), gain(abs(a)) - abs(v))
    return abs(v) + gain(abs(a))


def potential(v, a, alpha, p):
    """V, and the phase; p is kept from where the stop began. Stops run along the edges of phases: rounding is let be."""
    x, b = first_term(abs(v)), -a
    room = 1e-9 * (1 + x)
    if v <= 0 and a <= 1 + x + room:
        return 0.0, "down"
    if v > 0:
        if -tick(v, a, alpha)[1] >= x - room:
            return ramp(x), "land"
        if b >= alpha - 1 - room:
            return steady_2a(v, alpha) / (2 * alpha), "steady"
    return max(0.0, rise_2p(v, b, p) / (2 * p)), "rise"


def replay(v, a, alpha):
    """Runs a stop from (v, a); says what did not hold."""
    wide = wide_peak(v, -a)
    p = math.sqrt(wide) if a <= 0 and 0 < wide < alpha * alpha else alpha
    bound, q = one_way(v, a, alpha), 0.0
    room = 1e-9 * (1 + abs(bound) + v * v)
    left, phase = potential(v, a, alpha, p)
    if left > bound + room:
        return f"{phase}: the potential {left} is above the bound {bound}"
    for ticks in range(100_000):
        if abs(v) < 1e-9 and abs(a) <= 1:
            return None
        v, a = tick(v, a, alpha)
        q += v
        left_after, phase_after = potential(v, a, alpha, p)
        if left < v + left_after - room:
            return f"{phase} to {phase_after}: {left} is below {v} + {left_after}"
        if q > bound + room:
            return f"{q} is above the bound {bound}"
        left, phase = left_after, phase_after
    return "the stop does not end"


def reach(v, a, alpha, late=0):
    """Farthest up that a joint comes which goes on for `late` ticks and then stops."""
    q = highest = 0 * v
    for ticks in range(100_000):
        if ticks >= late and abs(v) < 1e-9 and abs(a) <= 1:
            return highest
        v, a = (v + a, a) if ticks < late else tick(v, a, alpha)
        q += v
        highest = max(highest, q)
    raise ArithmeticError("the stop does not end")


def replays():
    """Random stops, on time and late, along the chain of lemmas; returns what did not hold."""
    stream = random.Random(1)
    broken = []
    for _ in range(3_000):
        alpha = 10.0 ** stream.uniform(-0.7, 1.7)
        v = stream.choice((1, 1, -1)) * 10.0 ** stream.uniform(-2, 2.5)
        a = stream.choice((0.0, stream.uniform(-1.5, 1.5) * alpha, stream.uniform(-3, 3)))
        if abs(v) > 500 * alpha:
            continue
        found = replay(v, a, alpha)
        late = stream.randrange(1, 30)
        most = one_way(v, a, alpha) + farther(v, a, alpha, late)
        comes = reach(v, a, alpha, late)
        if found is None and comes > most * (1 + 1e-9) + 1e-9:
            found = f"{late} ticks late it comes to {comes}, the bound is {most}"
        if found:
            broken.append(f"alpha {alpha} v {v} a {a}: {found}")
    return broken


# Stops that pass a bound which lacks a term: (alpha, v, a, the term).
PASSES = (
    (Fraction(795, 10), Fraction(112, 10), Fraction(0), "jerk"),
    (Fraction(102, 10), Fraction(688, 10), Fraction(0), "speed"),
    (Fraction(100655, 10000), Fraction(31218, 1000), Fraction(67058, 10000), "rise"),
    (Fraction(1457, 100), Fraction(-1053, 100), Fraction(564, 100), "gain"),
)

HEAD = (
    "acceleration,jerk,v,a,reaction_ticks,next_v,next_a,up,down,peak_speed,longest_s,farther_up,farther_down"
)


def points():
    """The table for the test in `../src/brake.rs`, from the model with exact fractions."""
    stream = random.Random(2)
    tick_s = Fraction(1, 1000)
    lines = [HEAD]
    constants = [(15, 1500), (16, 2000), (32, 3000), (7, 900), (3, 10_000), (100, 1000)]
    for acceleration, jerk in constants:
        step = jerk * tick_s
        alpha = acceleration / step
        for n in range(60):
            v = Fraction(round(10 ** stream.uniform(-3.5, 0.5) * 1e6), 1_000_000) * stream.choice((-1, 1))
            a = Fraction(round(stream.uniform(-1.3, 1.3) * acceleration * 1e3), 1000)
            if n % 6 == 0:
                a *= 0
            if n % 10 == 9:
                v *= 0
            late = stream.choice((0, 1, 3, 6, 40))
            v_unit, a_unit = step * tick_s, step
            way_unit = v_unit * tick_s
            vs, as_ = v / v_unit, a / a_unit
            next_v, next_a = tick(vs, as_, alpha)
            if abs(next_v * v_unit) < Fraction(1, 10**10) and abs(next_a) <= 1:
                next_v, next_a = 0, next_a if v != 0 else 0
            row = (
                acceleration,
                jerk,
                v,
                a,
                late,
                next_v * v_unit,
                next_a * a_unit,
                one_way(vs, as_, alpha) * way_unit,
                one_way(-vs, -as_, alpha) * way_unit,
                peak_speed(vs, as_) * v_unit,
                longest_a(abs(vs), abs(as_), alpha) / alpha * tick_s,
                farther(vs, as_, alpha, late) * way_unit,
                farther(-vs, -as_, alpha, late) * way_unit,
            )
            lines.append(",".join(repr(float(value)) for value in row))
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------------------------------------------------------


def ask(given, *refuted):
    """What z3 says about `given` and not all of `refuted`."""
    steps = ("simplify", "purify-arith", "propagate-values", "solve-eqs", "simplify", "qfnra-nlsat")
    solver = z3.Then(*steps).solver()
    solver.set("timeout", TIMEOUT_MS)
    solver.add(*given)
    if refuted:
        solver.add(z3.Not(z3.And(*refuted)))
    return solver.check(), solver


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", action="store_true", help=f"write {POINTS.name} and stop")
    if parser.parse_args().points:
        POINTS.write_text(points())
        return 0
    failures = 0

    def say(name, began, problem=None):
        nonlocal failures
        failures += problem is not None
        print(f"{name:24} {time.monotonic() - began:6.2f} s  {problem or 'ok'}", flush=True)

    began_all = time.monotonic()
    print("lemmas: the negation must have no model, what is given must have one")
    for name, _words, given, claims in LEMMAS:
        began, problem = time.monotonic(), None
        if ask(given)[0] != z3.sat:
            problem = "what is given can never be"
        for claim in claims:
            answer, solver = ask(given, claim)
            if answer != z3.unsat:
                why = solver.model() if answer == z3.sat else solver.reason_unknown()
                problem = f"NOT PROVED, {answer}: {why}\n    {claim}"
        say(name, began, problem)
    print("claims that are wrong: they must be refuted")
    for name, _words, given, claim in WRONG:
        began = time.monotonic()
        answer, _ = ask(given, claim)
        say(name, began, None if answer == z3.sat else f"NOT REFUTED, {answer}")
    for alpha, v, a, term in PASSES:
        began = time.monotonic()
        farthest = reach(v, a, alpha)
        passes = one_way(v, a, alpha, without(term)) < farthest <= one_way(v, a, alpha)
        say(f"a stop without {term}", began, None if passes else "the stop does not pass that bound")
    print("the model")
    began = time.monotonic()
    broken = replays()
    say("3000 stops", began, "; ".join(broken[:3]) if broken else None)
    began = time.monotonic()
    same = POINTS.exists() and POINTS.read_text() == points()
    say(POINTS.name, began, None if same else "differs from the model: run with --points, and cargo test")
    print(
        f"{len(LEMMAS)} lemmas, {len(WRONG)} wrong claims, {failures} failures,"
        f" {time.monotonic() - began_all:.1f} s"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
