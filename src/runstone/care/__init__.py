"""Care of the ledger's data: proving it, repairing it, copying it, and removing what nobody needs any more."""
