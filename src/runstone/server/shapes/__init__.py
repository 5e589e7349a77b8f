"""What the API takes and gives, as msgspec Structs: one module per noun. The OpenAPI document is made from them."""
