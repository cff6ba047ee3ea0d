"""Timelines as pictures: in a terminal (`terminal`) and as SVG (`picture`).

Both cut a window of moments into equal cells and say of each what lies in it (`cells`), so that the
rule that matters holds for both: a gap is seen however narrow it is. Standard library only.
"""
