"""Does the doctor name the fault? Runs into which a fault was put, beside what lint and verdicts say of them."""
