from responses_api.demo_backend.server import main

main()
