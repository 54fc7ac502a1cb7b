"""Policy, key sets, the signing pass, the gate, the scheduler, the state database."""
