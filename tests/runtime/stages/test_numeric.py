from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exc.runtime.stages.numeric import find_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        # GSM8K
        ("Natalia sold 48/2 = 24 clips.\n#### 72", "72"),
        ("#### 1,234", "1234"),
        ("#### 1,234,567.50", "1234567.5"),
        ("#### $1,234.", "1234"),
        ("#### -5", "-5"),
        ("####5", "5"),
        ("#### 12 apples, not 13", "12"),
        ("#### 7\n\nQ: 1+1?\n#### 2", "7"),
        ("#### 50%", "50"),
        ("#### Step 1\nso it is 9", "9"),
        # boxed
        (r"so \boxed{42}.", "42"),
        (r"first \boxed{1}, then \boxed{2} 3", "2"),
        (r"\boxed{\frac{1}{2}}", "1/2"),
        (r"\boxed{-\dfrac{3}{4}}", "-3/4"),
        (r"\boxed{\frac12}", "1/2"),
        (r"\boxed{3\frac{1}{2}}", "7/2"),
        (r"\boxed{1{,}234}", "1234"),
        (r"\boxed{1\,234}", "1234"),
        (r"\boxed{\$5.00}", "5"),
        (r"\boxed{75\%}", "75"),
        (r"\boxed{\text{about } {10}}", "10"),
        (r"\boxed {8}", "8"),
        (r"\boxed{x}, 5", None),
        (r"\boxed{5, then 6", "6"),
        (r"\boxed{1} and \boxed{\boxed{2}", "2"),
        (r"\boxed{9} #### 3", "9"),
        (r"{ \boxed{4}", "4"),
        (r"\boxed{24\text{ cm}^2}", "24"),
        (r"\boxed{24\,\mathrm{m}^{3}}", "24"),
        (r"\boxed{x^2}", None),
        (r"\boxed{x^10}", None),
        (r"\boxed{3 1/2}", "7/2"),
        # a plain marker
        ("7-4=3;3+6=9;#9", "9"),
        ("3+6=9;#-9", "-9"),
        ("# 12 is it", "12"),
        # the last number
        ("it is 3, no, 4", "4"),
        ("7-4", "4"),
        ("it is -4.", "-4"),
        ("5 - 3 = 2.", "2"),
        ("costs -$5", "-5"),
        ("it is 24 cm^2.", "24"),
        ("he ate -3 1/2 of them", "-7/2"),
        ("from 2 5/3", "5/3"),
        ("1/2 3/4", "3/4"),
        ("1,2345", "2345"),
        ("1,2,3", "3"),
        ("3.14.", "3.14"),
        (".5", "1/2"),
        ("2/4", "1/2"),
        ("1/2.", "1/2"),
        ("1.5e3", "1500"),
        ("1/0", None),
        ("\u0664\u0662", "42"),
        ("\uff14\uff12", "42"),
        ("\u22125", "-5"),
        ("1\u202f234", "1234"),
        ("x\u00b2", None),
        # none, or babble
        ("", None),
        ("no idea", None),
        ("9" * 5000, None),
        ("#### " + "9" * 5000, None),
        ("1e999999", "999999"),
        ("{" * 5000 + r"\boxed{" * 5000, None),
    ],
)
def test_the_answer_is_found(text: str, number: str | None) -> None:
    assert find_number(text) == (None if number is None else Fraction(number))


@given(st.integers(-(10**9), 10**9))
def test_a_number_is_found_however_it_is_written(value: int) -> None:
    for text in (
        f"#### {value:,}",
        f"#### {value}.00",
        rf"\boxed{{{value}}}",
        f"It is {value}.",
        f"#{value}",
    ):
        assert find_number(text) == value


@given(st.text() | st.text(alphabet="0123456789.,-+/#$%e {}\\boxedfrac"))
def test_nothing_makes_it_fail(text: str) -> None:
    assert isinstance(find_number(text), Fraction | None)
