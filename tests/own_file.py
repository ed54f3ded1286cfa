"""A file as people have it: skewed classes, a blank in a column's name, missing texts and labels, copies, conflicts, HTML, emoji, one endless text."""

import csv
import random

WORDS = {
    "Positive ": ["great", "loved", "perfect", "works", "happy"],
    "NEGATIVE": ["broke", "refund", "awful", "waste", "angry"],
    "neutral": ["okay", "average", "middling", "plain", "so-so"],
}
COUNTS = {"Positive ": 528, "NEGATIVE": 48, "neutral": 24}  # 88, 8 and 4 %
HEADER = ["id", "review_body", "Sentiment ", "date"]


def own_rows():
    """600 labelled rows, 12 without a text, 6 without a label, 60 copies and 8 copies with another label."""
    luck = random.Random(5)
    plan = [label for label, n in COUNTS.items() for _ in range(n)]
    luck.shuffle(plan)
    rows = []
    for i, label in enumerate(plan):
        text = f"{luck.choice(WORDS[label])} and {luck.choice(WORDS[label])}, item {i} of order {luck.randint(1, 9999)}<br/>"
        rows.append([i, text + ("schön 🙂" if i % 7 == 0 else ""), label, "2026-01-02"])
    rows[3][1] = "long " * 11_200
    rows += [[900 + k, "<br>" if k % 2 else "", "Positive ", ""] for k in range(12)]
    rows += [[920 + k, f"a text without a label, number {k}", "", ""] for k in range(6)]
    rows += [[1000 + k, *rows[100 + k][1:]] for k in range(60)]
    rows += [
        [1100 + k, rows[200 + k][1], "NEGATIVE" if rows[200 + k][2] != "NEGATIVE" else "neutral", ""] for k in range(8)
    ]
    return rows


def write_own(path, rows=None, separator=",", encoding="utf-8"):
    """Write the rows as a CSV file; characters that the encoding does not have become question marks."""
    with open(path, "w", encoding=encoding, errors="replace", newline="") as f:
        writer = csv.writer(f, delimiter=separator)
        writer.writerow(HEADER)
        writer.writerows(own_rows() if rows is None else rows)
    return path
