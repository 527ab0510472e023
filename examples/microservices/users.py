"""The user service: POST /users, GET /users, GET /users/ID, PUT /users/ID."""

import service

if __name__ == "__main__":
    service.serve("users", ["name", "email"])
