"""A run as AG-UI events (https://docs.ag-ui.com, protocol 1.0), for every front end that speaks it."""
