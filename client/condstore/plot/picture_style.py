"""How the picture looks, in a light and in a dark browser; its colours differ for every eye."""

STYLE = """
svg { max-width: 100%; height: auto; }
svg { --ground: #ffffff; --ink: #1c2430; --faint: #6b7684; --line: #dfe4ea; --one: #2f6fb3;
  --other: #86b6e3; --several: #5a4a9c; --bad: #c4321c; --warn: #a06400; --hole: #fdeae6;
  --off: #f1f3f6; }
@media (prefers-color-scheme: dark) { svg { --ground: #12171e; --ink: #e8edf3; --faint: #98a4b2;
  --line: #29323d; --one: #3f8ad6; --other: #1f5288; --several: #9a87e6; --bad: #ff7a62;
  --warn: #f0b14a; --hole: #3a1a16; --off: #1b222b; } }
text { font: 12px system-ui, "DejaVu Sans", sans-serif; fill: var(--ink); }
.title { font-size: 20px; font-weight: 600; } .faint { fill: var(--faint); }
.mono { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 11px; }
.small text { font-size: 10px; } .name { text-anchor: end; } .middle { text-anchor: middle; }
.end { text-anchor: end; } .bad { fill: var(--bad); } .warn { fill: var(--warn); }
.ground { fill: var(--ground); } .grid { stroke: var(--line); fill: none; }
path { fill: none; } .one { stroke: var(--one); } .other { stroke: var(--other); }
.several { stroke: var(--several); } .sliver { stroke: var(--bad); }
path.arrow { fill: var(--ink); }
.gap { fill: url(#gap); stroke: var(--bad); } .narrow { fill: var(--bad); }
.nothing { fill: url(#nothing); } .trim { fill: var(--warn); } .hover { fill: transparent; }
.hover:hover { fill: var(--ink); fill-opacity: .25; }
"""

PATTERNS = """<defs>\
<pattern id="gap" width="6" height="6" patternUnits="userSpaceOnUse" \
patternTransform="rotate(45)"><rect width="6" height="6" style="fill:var(--hole)"/>\
<rect width="2" height="6" style="fill:var(--bad)"/></pattern>\
<pattern id="nothing" width="6" height="6" patternUnits="userSpaceOnUse" \
patternTransform="rotate(45)"><rect width="6" height="6" style="fill:var(--off)"/>\
<rect width="1" height="6" style="fill:var(--line)"/></pattern></defs>"""
