"""People: enrolment, identification, and decisions on their recordings."""
