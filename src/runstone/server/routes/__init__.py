"""The routes, one module per noun. A handler reads its arguments, asks the ledger, and shapes the answer: no decisions.

The pattern is in `runs.py`: parameters are marked (`FromPath`, `QueryParameter`), the ledger is a dependency, errors
are raised and become problems elsewhere. A read of a row or two is called as it is; one that may take long goes through
`reads`. An option `role` of a handler names the role that it takes, where it is not read for GET and control else.
"""
