Bodies and readers that trickle are ended: fewer than 500 bytes a second of a body, or 250 of an answer (`body_rate`, `read_rate`; 0: any). Limits have ceilings.
