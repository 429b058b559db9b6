import QtQuick
import QHttpServer 1.0

Window {
    id: window
    property string message: "curl -d hello http://127.0.0.1:" + server.port + "/message"
    property alias port: server.port

    width: 480
    height: 160
    visible: true
    title: "A server in QML"

    HttpServer {
        id: server

        Route {
            path: "/message"
            method: "POST"
            handler: request => { window.message = request.body; return 204 }
        }
        Route { path: "/message"; handler: () => ({ message: window.message }) }
        Route { path: "/size/<arg>"; method: "PUT"; handler: request => { window.width = request.arguments[0]; return { width: window.width } } }
    }

    Text {
        anchors.centerIn: parent
        text: window.message
    }
}
